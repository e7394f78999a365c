"""One agent per state directory: two agents would send the same writes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import tenacity

from nova_cachemig.agent.journal.errors import JournalError, JournalLocked

_PATIENCE: Final = 0.3  # seconds; holder() has the lock for an instant


class DirectoryLock:
    """An flock on ``journal.lock``. The kernel releases it however the process ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "journal.lock"
        self._fd: int | None = None

    def take(self) -> None:
        """Lock the directory. Raises JournalLocked if another process has it, else JournalError."""
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise JournalError(f"cannot use the state directory: {exc}") from exc
        try:
            _lock(fd)
        except OSError as exc:
            holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise JournalLocked(
                f"another agent (process {holder}) uses {self._path.parent}: "
                "stop it, or give this one another [agent] state_dir"
            ) from exc
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Unlock the directory."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(BlockingIOError),
    stop=tenacity.stop_after_delay(_PATIENCE),
    wait=tenacity.wait_fixed(0.02),
    reraise=True,
)
def _lock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder(state_dir: Path) -> str | None:
    """Return the pid of the agent that uses the directory, None if no agent does.

    Holds a shared lock for an instant, for which an agent that starts then waits. Returns
    "unknown" if the agent is in another container or the file cannot be read.
    """
    try:
        fd = os.open(state_dir / "journal.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return "unknown"
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(fd)
    return None
