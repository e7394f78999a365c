"""How much slower the machine was than at its best.

The load generator repeats a fixed piece of work and records its CPU time. CPU time does not contain
the waiting for a core. It grows when the machine is slow: when a sibling core is busy, when other
processes use the caches and the memory, or when the hypervisor runs another machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Final

from tools.measurement.analysis.quantile import quantile

Samples = Sequence[tuple[float, float]]  # (second of the run, CPU seconds that the piece took)
_BEST: Final = 0.01  # share of the pieces that the machine's best speed is taken from
RETURN: Final = 0.3  # seconds before and after the end of a blackout: the guest's return
FEWEST: Final = 20  # samples in the spans; fewer give no value


def slowdown(samples: Samples, spans: Iterable[tuple[float, float]]) -> float | None:
    """The mean over those spans (s) divided by the best of the run; None: too few samples."""
    spans = list(spans)
    inside = [took for at, took in samples if any(start <= at < end for start, end in spans)]
    best = quantile((took for _, took in samples), _BEST)
    if len(inside) < FEWEST or not best:
        return None
    return max(1.0, statistics.fmean(inside) / best)
