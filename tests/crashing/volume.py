"""An ext4 in a loop file whose power can be cut: whatever was not synced is lost."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
_NO_LOG_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: the file system's own log is not written either
_TRIES = 50  # to unmount, 0.1 s apart


class Volume:
    """A file system at :attr:`path`. Needs root."""

    def __init__(self, directory: Path, mebibytes: int = 256) -> None:
        """Make it in ``directory``, which must exist."""
        self._image = directory / "image-0"
        self._mounts = 0
        self.path = directory / "volume"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(mebibytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(self._image))

    def mount(self) -> None:
        """Mount it; the kernel replays the file system's log, as after a power failure.

        Each time it is a copy: another mount namespace may still have the former one mounted, and
        a second mount of the same image would show that one.
        """
        former, self._mounts = self._image, self._mounts + 1
        self._image = former.with_name(f"image-{self._mounts}")
        _run("cp", "--sparse=always", str(former), str(self._image))
        former.unlink()
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def cut_power(self) -> None:
        """Let nothing reach the disk from now on.

        Kill the processes that use it immediately before. A sync that runs at this instant may
        return success although its data is lost (seen with Linux 6.18), so no process must live
        to tell anyone.
        """
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Unmount it. A process that used it may still be ending."""
        for _ in range(_TRIES):
            if subprocess.run(["umount", str(self.path)], check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"a process uses {self.path}")

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
