"""A body that is being received: in memory while it is small, then in a spool file."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from typing import Final

from nova_cachemig.agent.journal.spool import Spool, SpoolFile
from nova_cachemig.model.write import Body

_LEAST: Final = 4096  # bytes that stay in memory in any case: a file costs more


class MemoryBudget:
    """Counts the bytes of all bodies in memory, of the agent or of one service."""

    def __init__(self, limit: int, whole: MemoryBudget | None = None) -> None:
        """``whole``: the budget that this one is part of."""
        self._limit = limit
        self._whole = whole
        self.used = 0  # bytes

    def add(self, size: int) -> None:
        """Count bytes, or fewer of them."""
        self.used += size
        if self._whole is not None:
            self._whole.add(size)

    @property
    def exceeded(self) -> bool:
        """Whether bodies must leave the memory."""
        return self.used > self._limit or (self._whole is not None and self._whole.exceeded)


class Upload:
    """One body. Its methods do their blocking work in a thread."""

    def __init__(self, spool: Spool, threshold: int, budget: MemoryBudget) -> None:
        self._spool = spool
        self._threshold = threshold
        self._least = min(threshold, _LEAST)
        self._budget = budget
        self._chunks: list[bytes] = []
        self._pending = 0  # bytes in memory
        self._file: SpoolFile | None = None
        self.length = 0

    def add(self, data: bytes) -> bool:
        """Add a piece. True: call :meth:`flush` before the next piece."""
        self._chunks.append(data)
        self._pending += len(data)
        self.length += len(data)
        self._budget.add(len(data))
        if self._pending <= self._least:
            return False
        return self._pending > self._threshold or self._budget.exceeded

    async def flush(self) -> None:
        """Move the bytes in memory to the spool file. Raises OSError."""
        chunks, size = self._chunks, self._pending
        self._chunks, self._pending = [], 0
        try:
            await asyncio.to_thread(self._write, b"".join(chunks))
        except OSError:
            self._chunks[:0] = chunks  # they stay in memory
            self._pending += size
            raise
        self._budget.add(-size)

    async def seal(self) -> Body:
        """Return the complete body. A spool file is synced. Raises OSError: call :meth:`cancel`."""
        if self._file is None and self._pending <= self._threshold:
            chunks, self._chunks = self._chunks, []
            self._budget.add(-self._pending)
            self._pending = 0
            return Body.of(b"".join(chunks))
        await self.flush()
        file, self._file = self._file, None  # from here on the write owns the file
        assert file is not None
        try:
            return await asyncio.to_thread(file.seal)
        except OSError:
            self._file = file
            raise

    async def take(self) -> Iterator[bytes]:
        """Return what was added, for one reader. Nothing of it stays on disk.

        The iterator blocks. Raises OSError; then all of it is lost. Also after a failed
        :meth:`flush` or :meth:`seal`.
        """
        with contextlib.suppress(OSError):
            await self.flush()
        file, self._file = self._file, None
        chunks, self._chunks = self._chunks, []
        self._budget.add(-self._pending)
        self._pending = 0
        written = iter(()) if file is None else await asyncio.to_thread(file.take)
        return itertools.chain(written, chunks)

    async def cancel(self) -> None:
        """Drop the body: the write is not accepted."""
        file, self._file = self._file, None
        self._chunks.clear()
        self._budget.add(-self._pending)
        self._pending = 0
        if file is not None:
            await asyncio.to_thread(file.delete)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._spool.create()
        self._file.write(data)
