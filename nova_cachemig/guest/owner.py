"""The owner of a request: a process that holds a file lock as long as it lives.

The kernel releases the lock when the process ends, for whatever reason. This also works between
containers, where process ids have no meaning for other containers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Exclude other processes for the duration of the block."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Explicit, because a child that another thread forks in between also has the handle.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


class Owner:
    """This process. ``name`` marks the requests that it handles."""

    def __init__(self, directory: Path) -> None:
        """Lock a new file in ``directory``. Call it within :func:`exclusive`."""
        self.name = secrets.token_hex(8)
        self._path = directory / self.name
        self._file = self._path.open("xb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def forked(self) -> None:
        """Release the parent's lock in a child process: only the parent's end counts."""
        self._file.close()

    def release(self) -> None:
        """Release the lock."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def is_alive(directory: Path, name: str) -> bool:
    """Return whether the process ``name`` still runs."""
    try:
        with (directory / name).open("rb") as file:
            # Shared: two processes that check at the same time must not look like the owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def remove_dead(directory: Path) -> None:
    """Remove the files of processes that have ended. Call it within :func:`exclusive`."""
    for path in directory.iterdir():
        if not is_alive(directory, path.name):
            path.unlink(missing_ok=True)
