"""The writes that wait for one guest, the first few in memory, the rest on disk."""

from __future__ import annotations

import collections
from collections.abc import Awaitable, Callable

from nova_cachemig.agent.journal.queries import Unreadable
from nova_cachemig.model.write import HeldWrite

_IN_MEMORY = 256  # writes
_PAGE = 64  # writes that are read from disk at once

Reader = Callable[[int, int], Awaitable[list[HeldWrite | Unreadable]]]


class Backlog:
    """Writes in the order of their positions. Memory does not grow with their number."""

    def __init__(self, read: Reader, *, after: int, newest: int) -> None:
        """``read(after, limit)`` reads from disk; ``newest`` is the last position on disk."""
        self._read = read
        self._memory: collections.deque[HeldWrite | Unreadable] = collections.deque()
        self._taken = after  # the last position that left, or is in, the memory
        self._newest = newest
        self._on_disk = newest > after

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

    async def take(self) -> HeldWrite | Unreadable | None:
        """The next write, if there is one; it may be a damaged one."""
        if not self._memory and self._on_disk:
            await self._fill()
        return self._memory.popleft() if self._memory else None

    def more(self) -> bool:
        """Whether there is a write, if only on disk."""
        return bool(self._memory) or self._on_disk

    def ready(self) -> bool:
        """Whether :meth:`take` would find a write at once."""
        return bool(self._memory)

    async def _fill(self) -> None:
        seen = self._newest  # on disk before the read begins, so the read sees it
        page = await self._read(self._taken, _PAGE)
        self._memory.extend(page)
        if page:
            self._taken = page[-1].position
        if len(page) < _PAGE:
            self._taken = max(self._taken, seen)
        self._on_disk = self._taken < self._newest
