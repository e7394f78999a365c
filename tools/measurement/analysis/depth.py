"""The number of waiting writes over time: the depth of the journal, or of the crowd of clients.

A write waits from the time it is sent until the guest has responded to it. That is the time of the
client's response. If the client got a 202 earlier, the journal supplies the time
(``Request.applied``). Each change is known exactly, so a run takes no samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.outcome import Request

STEP: Final = 0.1  # seconds between the points in the result
_USUAL: Final = 0.99  # share of the time before the blackout in which no more were in flight
Steps = Sequence[tuple[float, int]]


def steps(requests: Iterable[Request]) -> list[tuple[float, int]]:
    """Each instant (s) at which the number of waiting writes changed, and the new number."""
    changes: dict[float, int] = {}
    for request in requests:
        if not request.is_read:
            changes[request.sent] = changes.get(request.sent, 0) + 1
            changes[request.responded] = changes.get(request.responded, 0) - 1
    instants = sorted(changes)
    depths = itertools.accumulate(changes[at] for at in instants)
    return list(zip(instants, depths, strict=True))


def sampled(found: Steps, step: float, until: float) -> list[tuple[float, int]]:
    """The depth at every multiple of ``step`` seconds from 0 to ``until``."""
    out, depth, index = [], 0, 0
    for number in range(int(until / step) + 1):
        at = number * step
        while index < len(found) and found[index][0] <= at:
            depth = found[index][1]
            index += 1
        out.append((round(at, 3), depth))
    return out


def usual(found: Steps, before: float) -> int:
    """The usual number in flight before an instant (s), which is rarely exceeded; at least 1."""
    ranked = sorted(n for at, n in sampled(found, STEP, before) if at < before)
    return max(ranked[int(_USUAL * (len(ranked) - 1))], 1) if ranked else 1


def drained(found: Steps, gap: Blackout) -> float | None:
    """Seconds from the end of the blackout until only the usual number waits; None: never."""
    level = usual(found, gap.start)
    depth = 0
    for at, following in found:
        if at > gap.end and depth <= level:
            return 0.0
        if at > gap.end and following <= level:
            return at - gap.end
        depth = following
    return 0.0 if depth <= level else None


def depth_figures(requests: Sequence[Request], gap: Blackout | None) -> dict[str, Any]:
    """The figures of waiting writes; ``gap`` is the run's blackout."""
    found = steps(requests)
    after = drained(found, gap) if gap else None
    writes = [r for r in requests if not r.is_read]
    new = sum(0 <= r.sent - gap.end < after for r in writes) if gap and after is not None else None
    ends = (max(r.done, r.responded) for r in requests)
    return {
        "depth": [list(point) for point in sampled(found, STEP, max(ends, default=0.0))],
        "depth_max": max((n for _, n in found), default=0),
        "drained_s": None if after is None else round(after, 3),
        "writes_during_drain": new,
        "writes_accepted": sum(r.status == 202 for r in writes),
        "writes_accepted_unresolved": sum(r.status == 202 and r.applied is None for r in writes),
    }
