"""Blackouts: the intervals in which clients get no response from the guest.

They are derived from the probes. Each probe has its own connection, so TCP's back-off does not
lengthen the gap between two responses. A blackout begins one probe interval after the last response
before the gap, when the next one was due. It ends with the first response after the gap.

After it the guest may still stall: after a switchover to post-copy it runs, but it waits for memory
that is still at the source.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Sequence
from typing import Final

from tools.measurement.analysis.outcome import Probe, Run

SHORTEST: Final = 0.1  # seconds; a shorter gap is jitter if there is a longer one
SLOW: Final = 0.05  # seconds; a probe that takes longer shows that the guest stalls
SHARE: Final = 0.5  # of the longest gap: several migrations in one run have similar blackouts


@dataclasses.dataclass(frozen=True, slots=True)
class Blackout:
    """One blackout, in seconds since the start of the run."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    def covers(self, at: float) -> bool:
        """Whether the guest is silent at ``at`` (s)."""
        return self.start <= at < self.end


def gaps(responses: Sequence[float], interval: float) -> list[Blackout]:
    """Every gap between successive responses that is longer than ``interval`` seconds."""
    return [
        Blackout(before + interval, after)
        for before, after in itertools.pairwise(sorted(responses))
        if after - before > interval
    ]


def blackouts(run: Run) -> list[Blackout]:
    """The blackouts of a run in order of time; empty if the guest was never silent.

    The longest gap always counts. Others must last at least ``SHORTEST`` and ``SHARE`` of the
    longest. Without probes, the guest's responses to the load are used.
    """
    if run.probe_interval is not None:
        found = gaps([probe.responded for probe in run.probes], run.probe_interval)
    else:
        responses = sorted(r.done for r in run.requests if r.status and not r.hit)
        if len(responses) < 3:
            return []
        usual = statistics.median(b - a for a, b in itertools.pairwise(responses))
        found = gaps(responses, usual)
    if not found:
        return []
    longest = max(found, key=lambda gap: gap.seconds)
    least = max(SHORTEST, SHARE * longest.seconds)
    return [gap for gap in found if gap is longest or gap.seconds >= least]


def longest(found: Sequence[Blackout]) -> Blackout | None:
    """The longest of these blackouts, which the figures describe."""
    return max(found, key=lambda gap: gap.seconds, default=None)


def stall(probes: Sequence[Probe], end: float) -> float:
    """Seconds after the ``end`` of a blackout until a new probe gets its response immediately.

    Probes sent earlier do not count: TCP sends their first packet again only after a second.
    """
    after = sorted((p for p in probes if p.sent >= end), key=lambda probe: probe.sent)
    slow = itertools.takewhile(lambda probe: probe.responded - probe.sent > SLOW, after)
    return max((probe.responded - end for probe in slow), default=0.0)
