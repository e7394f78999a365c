"""The simple methods: last value, window mean, exponentially weighted mean."""

from __future__ import annotations

import numpy as np

from nova_cachemig.forecast.contract import Forecaster
from nova_cachemig.forecast.history import Floats, History, Ints

EWMA_ALPHA = 0.3
"""Weight of the newest sample, for samples ``EWMA_STEP`` apart."""

SLOW_ALPHA = 0.05
"""Weight of the newest sample in the slow mean: a time constant of 1.6 h."""

EWMA_STEP = 300.0


class LastValue(Forecaster):
    """The load stays as it is."""

    name = "last value"

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        return history.filled[:, origins]


class WindowMean(Forecaster):
    """The mean of the last hour (or another time)."""

    def __init__(self, seconds: float = 3600.0, name: str = "mean 1h") -> None:
        self.name = name
        self.seconds = seconds

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        return history.trailing(origins, history.samples(self.seconds))


class Ewma(Forecaster):
    """Exponentially weighted mean; the weight of a sample decays with time, not with the count of
    samples.

    With samples 300 s apart the newest counts 0.3; with others the decay per second is the same.
    """

    def __init__(self, alpha: float = EWMA_ALPHA, name: str = "ewma") -> None:
        self.name = name
        self.alpha = alpha

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        keep = float((1 - self.alpha) ** (history.step / EWMA_STEP))
        return ewma(history, keep)[:, origins]


class SlowEwma(Ewma):
    """An exponentially weighted mean with a time constant of 1.6 h, which averages over bursts."""

    def __init__(self) -> None:
        super().__init__(SLOW_ALPHA, "slow ewma")


def ewma(history: History, keep: float) -> Floats:
    """Return the exponentially weighted mean at every column, float[H, T]; NaN before a sample.

    ``keep`` is the factor of a sample's weight after a step. A gap only decays the weights. They
    are normalised, so that the start has no bias towards the first sample.
    """
    result = np.full_like(history.values, np.nan)
    total, weight = np.zeros(history.hosts), np.zeros(history.hosts)
    values = np.where(history.seen, history.values, 0.0).T.copy()
    seen = history.seen.T.astype(np.float64)
    for t in range(history.length):
        total = total * keep + values[t]
        weight = weight * keep + seen[t]
        result[:, t] = total / np.maximum(weight, 1e-300)
    return np.where(np.isnan(history.filled), np.nan, result)
