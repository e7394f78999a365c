"""Identifies the memory in which unsynced data lives: one boot, one mount of the file system.

Data that was written but not synced outlasts the process. It may be lost in a reboot, or if the
file system is taken away and mounted again: a volume that is detached and attached, for instance.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def of(path: Path, boot_id: Path) -> str:
    """Return a text that changes with each boot and each mount. Raises OSError.

    The mount shows in the number that the kernel gives each disk when it appears, and in the inode
    of the mounted file system in sysfs (ext4, XFS). Another kind of file system without a
    disk, such as tmpfs, gets a device number when it is mounted.
    """
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    return " ".join([boot_id.read_text().strip(), number, *_marks(number)])


def _marks(number: str) -> Iterator[str]:
    block = Path("/sys/dev/block") / number
    for disk in (block, block / ".."):  # a partition's disk is its parent directory
        with contextlib.suppress(OSError):
            yield f"disk={(disk / 'diskseq').read_text().strip()}"
            break
    with contextlib.suppress(OSError):
        name = block.resolve(strict=True).name
        for kind in ("ext4", "xfs"):
            with contextlib.suppress(OSError):
                yield f"{kind}={(Path('/sys/fs') / kind / name).stat().st_ino}"
