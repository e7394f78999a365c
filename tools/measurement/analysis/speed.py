"""How much slower the machine was than at its best, as a fixed piece of work tells.

The generator repeats the piece all the time and notes the CPU time that it took. CPU time leaves
out the waiting for a core, so what remains is what the machine itself takes away: a busy sibling
core, shared caches and memory, a hypervisor that runs somebody else.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from tools.measurement.analysis.quantile import quantile

Samples = Sequence[tuple[float, float]]  # (second of the run, CPU seconds that the piece took)
_BEST: Final = 0.01  # of the pieces took no longer: what the machine can do
FEWEST: Final = 20  # samples in a span; of fewer nothing is said


def slowdown(samples: Samples, spans: Iterable[tuple[float, float]]) -> float | None:
    """The mean over those spans (s) divided by the best of the run; None of too few samples."""
    spans = list(spans)
    inside = [took for at, took in samples if any(start <= at < end for start, end in spans)]
    best = quantile((took for _, took in samples), _BEST)
    if len(inside) < FEWEST or not best:
        return None
    return max(1.0, statistics.fmean(inside) / best)
