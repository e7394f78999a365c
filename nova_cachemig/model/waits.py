"""How long something took, as a histogram with fixed buckets."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable
from typing import Final

HELD: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Upper limits in seconds, for waits of a user."""

LOOP: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
"""Upper limits in seconds, for the event loop."""


@dataclasses.dataclass(frozen=True, slots=True)
class Histogram:
    """A copy of :class:`Waits`. ``counts`` has one more entry than ``limits``, for longer waits."""

    limits: tuple[float, ...]
    counts: tuple[int, ...]
    total: float  # seconds

    def cumulative(self) -> Iterable[tuple[str, float]]:
        """Return each limit with the number of waits up to it, the last one ``+Inf``."""
        names, reached, found = [*map(repr, self.limits), "+Inf"], 0, []
        for name, count in zip(names, self.counts, strict=True):
            reached += count
            found.append((name, float(reached)))
        return found


class Waits:
    """Counts waits by their length. Its size is fixed."""

    def __init__(self, limits: tuple[float, ...] = HELD) -> None:
        """``limits``: the upper limits of the buckets, inclusive, in seconds."""
        self._limits = limits
        self._counts = [0] * (len(limits) + 1)
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count one wait."""
        self._counts[bisect.bisect_left(self._limits, seconds)] += 1
        self._total += seconds

    def copy(self) -> Histogram:
        """Return the present counts."""
        return Histogram(self._limits, tuple(self._counts), self._total)
