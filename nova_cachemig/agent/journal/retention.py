"""How old records are, when the wall clock may have stepped."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable


class Cutoff:
    """The wall-clock time before which records are older than ``keep`` seconds.

    A clock that steps forward makes no record older: the step counts only once ``keep`` seconds
    have really passed since. A clock that steps back makes records last longer.
    """

    def __init__(
        self,
        keep: float,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep = keep
        self._wall = wall
        self._steady = steady
        # when it was looked at, and how far the wall clock was ahead of the steady one
        self._seen: collections.deque[tuple[float, float]] = collections.deque()
        self.now()

    def now(self) -> float:
        """Return UNIX seconds. Steps that are undone between two calls are not seen."""
        steady = self._steady()
        self._seen.append((steady, self._wall() - steady))
        # the first one before the span stays: records of the span's begin were made under it
        while len(self._seen) > 1 and self._seen[1][0] <= steady - self._keep:
            self._seen.popleft()
        return steady + min(offset for _, offset in self._seen) - self._keep
