"""How much slower the machine was than at its best.

The load generator repeats a fixed piece of work and records its CPU time. CPU time does not contain
the waiting for a core. It grows when the machine is slow: when a sibling core is busy, when other
processes use the caches and the memory, or when the hypervisor runs another machine.
"""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from tools.measurement.analysis.quantile import quantile

Samples = Sequence[tuple[float, float]]  # (second of the run, CPU seconds that the piece took)
_BEST: Final = 0.01  # share of the pieces that the machine's best speed is taken from
BUSY: Final = 2.0  # slowdown of the machine beyond which a missed time bar proves nothing
NEAR: Final = 0.1  # seconds before and after a wait that tell how slow the machine was in it
RETURN: Final = 0.3  # seconds before and after the end of a blackout: the guest's return
FEWEST: Final = 20  # samples in the spans; fewer give no value


class LocalSlowdown:
    """How slow the machine was around any wait of a run: 1 at its best, ``BUSY`` at most."""

    def __init__(self, samples: Samples) -> None:
        self._samples = sorted(samples)
        self._best = quantile((took for _, took in samples), _BEST)

    def __call__(self, start: float, end: float) -> float:
        """The mean near those instants (s) divided by the best of the run; 1 if none is known."""
        first = bisect.bisect_left(self._samples, (start - NEAR, 0.0))
        last = bisect.bisect_left(self._samples, (end + NEAR, 0.0))
        near = [took for _, took in self._samples[first:last]]
        if not near or not self._best:
            return 1.0
        return min(BUSY, max(1.0, statistics.fmean(near) / self._best))


def slowdown(samples: Samples, spans: Iterable[tuple[float, float]]) -> float | None:
    """The mean over those spans (s) divided by the best of the run; None: too few samples."""
    spans = list(spans)
    inside = [took for at, took in samples if any(start <= at < end for start, end in spans)]
    best = quantile((took for _, took in samples), _BEST)
    if len(inside) < FEWEST or not best:
        return None
    return max(1.0, statistics.fmean(inside) / best)
