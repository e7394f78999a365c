"""A body that is being received: in memory while it is small, then in a spool file."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.journal.spool import Spool, SpoolFile
from nova_cachemig.model.write import Body


class Upload:
    """One body. Its methods do their blocking work in a thread."""

    def __init__(self, spool: Spool, threshold: int) -> None:
        self._spool = spool
        self._threshold = threshold
        self._chunks: list[bytes] = []
        self._pending = 0  # bytes in memory
        self._file: SpoolFile | None = None
        self.length = 0

    def add(self, data: bytes) -> bool:
        """Add a piece. True: call :meth:`flush` before the next piece."""
        self._chunks.append(data)
        self._pending += len(data)
        self.length += len(data)
        return self._pending > self._threshold

    async def flush(self) -> None:
        """Move the bytes in memory to the spool file. Raises OSError."""
        chunks, self._chunks, self._pending = self._chunks, [], 0
        await asyncio.to_thread(self._write, b"".join(chunks))

    async def seal(self) -> Body:
        """Return the complete body. A spool file is synced. Raises OSError."""
        if self._file is None and self._pending <= self._threshold:
            chunks, self._chunks = self._chunks, []
            return Body.of(b"".join(chunks))
        await self.flush()
        file, self._file = self._file, None  # from here on the write owns the file
        assert file is not None
        try:
            return await asyncio.to_thread(file.seal)
        except OSError:
            await asyncio.to_thread(file.delete)
            raise

    async def cancel(self) -> None:
        """Drop the body: the write is not accepted."""
        file, self._file = self._file, None
        self._chunks.clear()
        if file is not None:
            await asyncio.to_thread(file.delete)

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._spool.create()
        self._file.write(data)
