"""The disk's free space."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Final

LOG = logging.getLogger(__name__)

_INTERVAL: Final = 0.5  # seconds between checks


class FreeSpace:
    """Whether the disk of ``directory`` has ``reserve`` bytes left."""

    def __init__(self, directory: Path, reserve: int) -> None:
        self._directory = directory
        self._reserve = reserve
        self._checked_at = 0.0  # monotonic time
        self._enough = True
        self._free = 0  # bytes beyond the reserve, at that time

    def has_room(self, more: int = 0, *, look: bool = False) -> bool:
        """Whether the disk has ``more`` bytes left besides the reserve.

        Looks at the disk at most twice a second, unless ``look`` says that much has changed.
        """
        now = time.monotonic()
        if look or now - self._checked_at > _INTERVAL:
            self._checked_at = now
            stat = os.statvfs(self._directory)
            self._free = stat.f_bavail * stat.f_frsize - self._reserve
            has_room = self._free >= 0
            if has_room != self._enough:
                word = "has" if has_room else "has no"
                LOG.warning("%s %s room for new writes", self._directory, word)
            self._enough = has_room
        return self._free >= more
