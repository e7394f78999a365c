"""A small disk for the agent's state, which can be filled. Needs root."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

_MEBIBYTES = 64
_PIECES = (1 << 20, 1 << 12, 1)  # bytes written at a time, until none fits


class Disk:
    """A file system in memory at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        options = f"size={_MEBIBYTES}m,mode=700"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "workload", str(path)],
            check=True, capture_output=True,
        )  # fmt: skip

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no space on it. The agent may use the space that it frees itself."""
        ballast = self._path / "ballast"
        fd = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for size in _PIECES:
                _fill(fd, bytes(size))
            yield
        finally:
            os.close(fd)
            ballast.unlink()

    def destroy(self) -> None:
        """Unmount it. A process that used it may still be ending."""
        subprocess.run(["umount", "--lazy", str(self._path)], check=False, capture_output=True)


def _fill(fd: int, piece: bytes) -> None:
    try:
        while os.write(fd, piece):
            pass
    except OSError as exc:
        if exc.errno != errno.ENOSPC:
            raise
