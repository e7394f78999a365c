"""An ext4 in a loop file whose power can be cut: whatever was not synced is lost."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: the file system's own log is not written either


class Volume:
    """A file system at :attr:`path`. Needs root."""

    def __init__(self, directory: Path, mebibytes: int = 256) -> None:
        """Make it in ``directory``, which must exist."""
        self._image = directory / "image"
        self.path = directory / "volume"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(mebibytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(self._image))

    def mount(self) -> None:
        """Mount it; the kernel replays the file system's log, as after a power failure."""
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def cut_power(self) -> None:
        """Let nothing reach the disk from now on; every write and sync fails."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Unmount it. No process may use it."""
        _run("umount", str(self.path))

    def check(self) -> None:
        """Check the unmounted file system, after its log was replayed."""
        _run("e2fsck", "-p", "-f", str(self._image), accepted=(0, 1))

    def destroy(self) -> None:
        """Unmount it if it is mounted."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)


def _run(*command: str, accepted: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode not in accepted:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
