"""The writes that wait for one guest, the first few in memory, the rest on disk."""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Awaitable, Callable, Sequence

from nova_cachemig.agent.journal.queries import POSITION, UnreadableWrite, WriteRow
from nova_cachemig.model.write import HeldWrite

LOG = logging.getLogger(__name__)

_IN_MEMORY = 256  # writes
_PAGE = 32  # writes that are read from disk at once: a page must not hold up an answer
_LOW = 16  # writes in memory at which the next page is read

Reader = Callable[[int, int], Awaitable[Sequence[WriteRow]]]


class Backlog:
    """Writes in the order of their positions. Memory does not grow with their number."""

    def __init__(
        self,
        read: Reader,
        readable: Callable[[WriteRow], HeldWrite | UnreadableWrite],
        *,
        after: int,
        newest: int,
    ) -> None:
        """``read(after, limit)`` reads from disk; ``newest`` is the last position on disk.

        ``readable`` makes a write of what was read, when it is taken.
        """
        self._read = read
        self._readable = readable
        self._memory: collections.deque[HeldWrite | WriteRow] = collections.deque()
        self._taken = after  # the last position that left, or is in, the memory
        self._newest = newest
        self._on_disk = newest > after
        self._filling: asyncio.Task[None] | None = None

    def push(self, write: HeldWrite) -> None:
        """A write is on disk; its position is behind all others."""
        self._newest = max(self._newest, write.position)
        if write.position <= self._taken:
            return  # read from disk already: its commit was seen there before it was told here
        if not self._on_disk and len(self._memory) < _IN_MEMORY:
            self._memory.append(write)
            self._taken = write.position
        else:
            self._on_disk = True

    async def take(self) -> HeldWrite | UnreadableWrite | None:
        """The next write, if there is one; it may be a damaged one."""
        if not self._memory and self._on_disk:
            await self._fill()
        taken = self._memory.popleft() if self._memory else None
        if self._on_disk and len(self._memory) <= _LOW:
            self._fill()  # before it is needed
        return taken if taken is None or isinstance(taken, HeldWrite) else self._readable(taken)

    @property
    def in_memory(self) -> bool:
        """Whether the next write is to be had at once."""
        return bool(self._memory)

    def has_more(self) -> bool:
        """Whether there is a write, if only on disk."""
        return bool(self._memory) or self._on_disk

    def stop(self) -> None:
        """Read nothing more."""
        if self._filling is not None:
            self._filling.cancel()

    def _fill(self) -> asyncio.Task[None]:
        if self._filling is None:
            self._filling = asyncio.create_task(self._read_page(), name="replay reads on")
            self._filling.add_done_callback(self._filled)
        return self._filling

    def _filled(self, task: asyncio.Task[None]) -> None:
        self._filling = None
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.debug("The next writes cannot be read yet: %s", error)

    async def _read_page(self) -> None:
        seen = self._newest  # on disk before the read begins, so the read sees it
        page = await self._read(self._taken, _PAGE)
        self._memory.extend(page)
        if page:
            self._taken = page[-1][POSITION]
        if len(page) < _PAGE:
            self._taken = max(self._taken, seen)
        self._on_disk = self._taken < self._newest
