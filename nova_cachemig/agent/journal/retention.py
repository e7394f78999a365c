"""The age of records, although the wall clock may step."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable


class Cutoff:
    """The wall-clock time before which records are older than ``keep`` seconds.

    If the clock steps forward, no record ages: the step counts only after ``keep`` seconds of
    monotonic time. If the clock steps back, records are kept longer.
    """

    def __init__(
        self,
        keep: float,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep = keep
        self._wall = wall
        self._monotonic = monotonic
        # (monotonic time of a look, how far the wall clock was ahead of the monotonic clock)
        self._offsets: collections.deque[tuple[float, float]] = collections.deque()
        self.now()

    def now(self) -> float:
        """Return the cutoff in UNIX seconds. It misses a step that is undone between two calls."""
        now = self._monotonic()
        self._offsets.append((now, self._wall() - now))
        # Keep the last offset before the period: it stamped the records of the period's beginning.
        while len(self._offsets) > 1 and self._offsets[1][0] <= now - self._keep:
            self._offsets.popleft()
        return now + min(offset for _, offset in self._offsets) - self._keep
