"""The requests for which a cache could have had a response, and how long clients waited for one."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from tools.measurement.analysis.outcome import Request, Run

LATE: Final = 0.1  # seconds; users notice a longer wait (Nielsen: 0.1 s feels instantaneous)
Interval = tuple[float, float]


def _full_speed(start: float, end: float) -> float:
    return 1.0


def cacheable_paths(runs: Iterable[Run]) -> frozenset[str]:
    """Paths that a shared cache may reuse, by some response of any run, and that none forbade."""
    allowed: set[str] = set()
    forbidden: set[str] = set()
    for run in runs:
        for request in run.requests:
            if request.is_read and 200 <= request.status < 300:
                (allowed if request.storable else forbidden).add(request.path)
    return frozenset(allowed - forbidden)


class PendingWrites:
    """The writes that were pending at any time, by path and by client."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._paths: dict[str, list[Interval]] = {}
        self._clients: dict[int, list[Interval]] = {}
        for request in sorted(requests, key=lambda r: r.sent):
            if not request.is_read:
                span = (request.sent, request.responded)
                self._paths.setdefault(request.path, []).append(span)
                self._clients.setdefault(request.client, []).append(span)

    def touch(self, read: Request) -> bool:
        """Whether a write to the read's path or of its client was pending while the read waited."""
        for spans in (self._paths.get(read.path, ()), self._clients.get(read.client, ())):
            last = bisect.bisect_right(spans, (read.done, float("inf")))
            if any(done > read.sent for _, done in spans[:last]):
                return True
        return False


def cacheable(requests: Sequence[Request], paths: frozenset[str]) -> list[Request]:
    """Reads of those paths with no pending write to the path or of the client."""
    pending = PendingWrites(requests)
    return [r for r in requests if r.is_read and r.path in paths and not pending.touch(r)]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Disjoint intervals in order that cover the same instants."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def late_intervals(
    requests: Iterable[Request], slowdown: Callable[[float, float], float] = _full_speed
) -> list[Interval]:
    """The intervals in which a request waited that took longer than ``LATE`` in all.

    A request without a response is late until the client gives it up. ``slowdown(start, end)`` is
    how much slower than at its best the machine was between two instants; the limit grows with it.
    """
    waits = ((r.scheduled, r.done) for r in requests if r.latency > LATE)
    return union(wait for wait in waits if wait[1] - wait[0] > LATE * slowdown(*wait))


def length(intervals: Iterable[Interval]) -> float:
    """Their total length in seconds."""
    return sum(end - start for start, end in intervals)


def within(intervals: Iterable[Interval], start: float, end: float) -> list[Interval]:
    """The parts of the intervals that lie between two instants."""
    cut = ((max(a, start), min(b, end)) for a, b in intervals)
    return [(a, b) for a, b in cut if b > a]
