"""Who deals with a request: a process that holds a lock for as long as it lives.

The kernel gives the lock back however the process ends, in a container too, where a process id
says nothing to the neighbours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """One process at a time, for as long as the block lasts."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Said, as a child that another thread forks meanwhile has the handle too.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


class Owner:
    """This process; ``name`` stands beside what it deals with."""

    def __init__(self, directory: Path) -> None:
        """Take a lock of its own in ``directory``; call it :func:`alone`."""
        self.name = secrets.token_hex(8)
        self._path = directory / self.name
        self._file = self._path.open("xb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def forked(self) -> None:
        """We are a child: only the parent's own death shall count."""
        self._file.close()

    def leave(self) -> None:
        """Give the lock back."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def lives(directory: Path, name: str) -> bool:
    """Whether the process ``name`` is still there."""
    try:
        with (directory / name).open("rb") as file:
            # Shared: two that look at once must not take each other for the owner.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def bury(directory: Path) -> None:
    """Remove the files of processes that are gone; call it :func:`alone`."""
    for path in directory.iterdir():
        if not lives(directory, path.name):
            path.unlink(missing_ok=True)
