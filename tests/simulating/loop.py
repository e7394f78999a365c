"""Simulated time: callbacks in the order of their times."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any


class Loop:
    """One seed's schedule. Callbacks of the same time run in the order in which they were set."""

    __slots__ = ("_count", "_heap", "events", "lines", "now", "random", "rng")

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.random = self.rng.random
        self.events = 0
        self.lines: list[str] | None = [] if trace else None
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0

    def later(self, delay: float, call: Callable[..., Any], *args: Any) -> None:
        """Call after ``delay`` seconds."""
        self._count += 1
        heappush(self._heap, (self.now + delay, self._count, call, args))

    def at(self, time: float, call: Callable[..., Any], *args: Any) -> None:
        """Call at ``time``, or now if it is over."""
        self._count += 1
        heappush(self._heap, (max(time, self.now), self._count, call, args))

    def run(self, until: float) -> None:
        """Run all that is due until then."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            self.now, _, call, args = heappop(heap)
            self.events += 1
            call(*args)
        self.now = max(self.now, until)

    def note(self, text: str) -> None:
        """Add a line to the trace."""
        if self.lines is not None:
            self.lines.append(f"{self.now:9.4f} {text}")
