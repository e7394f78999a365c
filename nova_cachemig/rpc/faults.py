"""Errors in a process that must go on: always counted, logged once per cause and interval."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from oslo_log import log

LOG = log.getLogger(__name__)

QUIET: Final = 600.0
"""Seconds for which a cause that has been logged is only counted."""


class Faults:
    """Counts by cause; ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._logged: dict[str, float] = {}
        self._present: dict[str, str] = {}

    def note(
        self,
        cause: str,
        detail: object = "",
        *,
        trace: bool = False,
        level: int = logging.WARNING,
    ) -> None:
        """Count one occurrence. ``trace``: with the traceback of the exception in hand."""
        with self._lock:
            count = self._counts[cause] = self._counts.get(cause, 0) + 1
            self._present[cause] = str(detail)
            now, before = self._clock(), self._logged.get(cause)
            if before is not None and now - before < QUIET:
                return
            self._logged[cause] = now
        LOG.log(level, "cachemig: %s: %s (%d so far)", cause, detail, count, exc_info=trace)

    def recovered(self, *causes: str) -> None:
        """These causes are gone: the next occurrence of each is logged immediately."""
        with self._lock:
            for cause in causes:
                self._present.pop(cause, None)
            gone = [cause for cause in causes if self._logged.pop(cause, None) is not None]
        for cause in gone:
            LOG.info("cachemig: no longer: %s", cause)

    def detail(self, cause: str) -> str:
        """The newest detail of a cause that has not :meth:`recovered`; else an empty string."""
        with self._lock:
            return self._present.get(cause, "")

    def counts(self) -> dict[str, int]:
        """Occurrences by cause since the process began."""
        with self._lock:
            return dict(self._counts)
