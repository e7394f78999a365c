"""The writes that wait for one guest: the first few in memory, the rest on disk."""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Awaitable, Callable, Sequence

from nova_cachemig.agent.journal.queries import POSITION, UnreadableWrite, WriteRow
from nova_cachemig.model.write import AcceptedWrite

LOG = logging.getLogger(__name__)

_IN_MEMORY = 256  # writes
_PAGE = 32  # writes per read from disk: a longer page would delay a response
_LOW = 16  # the next page is read when only this many writes are in memory

Reader = Callable[[int, int], Awaitable[Sequence[WriteRow]]]


class Backlog:
    """Writes in the order of their positions. Memory does not grow with their number."""

    def __init__(
        self,
        read: Reader,
        parse: Callable[[WriteRow], AcceptedWrite | UnreadableWrite],
        *,
        after: int,
        newest: int,
    ) -> None:
        """``read(after, limit)`` reads rows from disk; ``newest`` is the last position on disk.

        ``parse`` converts a row when it is taken.
        """
        self._read = read
        self._parse = parse
        self._memory: collections.deque[AcceptedWrite | WriteRow] = collections.deque()
        self._loaded = after  # the last position that is, or was, in memory
        self._newest = newest
        self._on_disk = newest > after
        self._filling: asyncio.Task[None] | None = None

    def push(self, write: AcceptedWrite) -> None:
        """Add a write that is on disk by now. Its position is behind all others."""
        self._newest = max(self._newest, write.position)
        if write.position <= self._loaded:
            return  # loaded from disk already: a read saw its commit before this callback ran
        if not self._on_disk and len(self._memory) < _IN_MEMORY:
            self._memory.append(write)
            self._loaded = write.position
        else:
            self._on_disk = True

    async def take(self) -> AcceptedWrite | UnreadableWrite | None:
        """Return the next write, None if there is none. It may be unreadable."""
        if not self._memory and self._on_disk:
            await self._fill()
        taken = self._memory.popleft() if self._memory else None
        if self._on_disk and len(self._memory) <= _LOW:
            self._fill()  # ahead of need
        return taken if taken is None or isinstance(taken, AcceptedWrite) else self._parse(taken)

    @property
    def next_in_memory(self) -> bool:
        """Whether the next write can be taken without waiting for the disk."""
        return bool(self._memory)

    def has_more(self) -> bool:
        """Whether a write waits, in memory or on disk."""
        return bool(self._memory) or self._on_disk

    def stop(self) -> None:
        """Stop reading from disk."""
        if self._filling is not None:
            self._filling.cancel()

    def _fill(self) -> asyncio.Task[None]:
        if self._filling is None:
            self._filling = asyncio.create_task(self._read_page(), name="replay backlog")
            self._filling.add_done_callback(self._filled)
        return self._filling

    def _filled(self, task: asyncio.Task[None]) -> None:
        self._filling = None
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.debug("Cannot read the next writes yet: %s", error)

    async def _read_page(self) -> None:
        newest = self._newest  # on disk before the read begins, so the read sees it
        page = await self._read(self._loaded, _PAGE)
        self._memory.extend(page)
        if page:
            self._loaded = page[-1][POSITION]
        if len(page) < _PAGE:
            self._loaded = max(self._loaded, newest)
        self._on_disk = self._loaded < self._newest
