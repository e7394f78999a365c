"""The limit for accepting writes: appends of the same size to a file, one sync per batch."""

from __future__ import annotations

import os
import time
from pathlib import Path


class AppendedFile:
    """A file that grows batch by batch: the cheapest way to make data durable."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def commits(self, count: int, appends: int, size: int) -> tuple[float, float]:
        """Return seconds in write(2) and fdatasync(2): ``appends`` of ``size`` bytes per sync."""
        record = os.urandom(size)
        written = synced = 0.0
        for _ in range(count):
            began = time.perf_counter()
            for _ in range(appends):
                os.write(self._fd, record)
            between = time.perf_counter()
            os.fdatasync(self._fd)
            written += between - began
            synced += time.perf_counter() - between
        return written, synced

    def batches(self, count: int, size: int) -> tuple[float, float]:
        """Return seconds in write(2) and fdatasync(2): one of each per batch of ``size`` bytes."""
        blob = os.urandom(size)
        written = synced = 0.0
        for _ in range(count):
            began = time.perf_counter()
            os.write(self._fd, blob)
            between = time.perf_counter()
            os.fdatasync(self._fd)
            written += between - began
            synced += time.perf_counter() - between
        return written, synced


class OverwrittenFile:
    """A file that was written before, like SQLite's log after its first checkpoint."""

    _ROOM = 16 << 20  # bytes

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY)
        os.write(self._fd, bytes(self._ROOM))
        os.fsync(self._fd)
        self._at = 0

    def batches(self, count: int, size: int) -> tuple[float, float]:
        """Like :meth:`AppendedFile.batches`, but return to the beginning at the end of the file."""
        blob = os.urandom(size)
        written = synced = 0.0
        for _ in range(count):
            if self._at + size > self._ROOM:
                self._at = 0
            began = time.perf_counter()
            os.pwrite(self._fd, blob, self._at)
            between = time.perf_counter()
            os.fdatasync(self._fd)
            written += between - began
            synced += time.perf_counter() - between
            self._at += size
        return written, synced
