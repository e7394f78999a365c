"""Blackouts: the intervals in which clients get no answer from the guest.

Told from the answered probes: every probe is a connection of its own, so the gap between two
answers is what the guest (not TCP's back-off) makes it. A blackout begins one probe interval after
the last answer before the gap, where the next was due, and ends with the first answer after it.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Sequence
from typing import Final

from tools.measurement.analysis.outcome import Run

SHORTEST: Final = 0.1  # seconds; a shorter gap beside a longer one is jitter
SHARE: Final = 0.5  # of the longest gap: several migrations in one run have blackouts alike


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
        """Whether a request that arrives then meets no guest."""
        return self.start <= at < self.end


def gaps(answers: Sequence[float], interval: float) -> list[Blackout]:
    """Every gap between successive answers that is longer than ``interval`` seconds."""
    return [
        Blackout(before + interval, after)
        for before, after in itertools.pairwise(sorted(answers))
        if after - before > interval
    ]


def blackouts(run: Run) -> list[Blackout]:
    """The blackouts of a run in order of time; empty if the guest was never silent.

    The longest gap is one, whatever its length; further ones must be at least ``SHORTEST`` and
    ``SHARE`` of the longest. Without probes, the load's own answers by the guest are used.
    """
    if run.probe_interval is not None:
        found = gaps([probe.answered for probe in run.probes], run.probe_interval)
    else:
        answers = sorted(r.done for r in run.requests if r.status and not r.hit)
        if len(answers) < 3:
            return []
        usual = statistics.median(b - a for a, b in itertools.pairwise(answers))
        found = gaps(answers, usual)
    if not found:
        return []
    longest = max(found, key=lambda gap: gap.seconds)
    least = max(SHORTEST, SHARE * longest.seconds)
    return [gap for gap in found if gap is longest or gap.seconds >= least]


def longest(found: Sequence[Blackout]) -> Blackout | None:
    """The one that the figures name."""
    return max(found, key=lambda gap: gap.seconds, default=None)
