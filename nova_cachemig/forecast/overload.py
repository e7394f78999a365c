"""The probability that a load exceeds a threshold within the horizon, from forecast quantiles.

The distribution function is linear between the quantiles. Above the last level the tail falls
exponentially, with the slope between the last two different quantiles. Below the first level it is
linear down to a load of zero.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import sys
from collections.abc import Sequence
from typing import Final

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints
from nova_cachemig.model import load

STEEPEST: Final = sys.float_info.max
"""Limit of a tail's slope: quantiles can differ too little for a finite one."""


def probability(
    forecast: load.Forecast, host: str, threshold: float, *, peak: bool = True
) -> float | None:
    """Return P(load exceeds the threshold within the horizon); None for an unknown host.

    With ``peak``, the load is the highest sample, otherwise the mean over the horizon. The
    threshold is in the unit of the forecast.
    """
    known = forecast.hosts.get(host)
    if known is None or not forecast.levels:
        return None
    return exceedance(forecast.levels, known.peak if peak else known.quantiles, threshold)


def exceedance(levels: Sequence[float], quantiles: Sequence[float], threshold: float) -> float:
    """Return P(X > threshold) for a load with these quantiles; both sequences rise."""
    if threshold < 0:
        return 1.0
    if threshold >= quantiles[-1]:
        return _tail(levels, quantiles, threshold)
    after = bisect.bisect_right(quantiles, threshold)
    below = (0.0, 0.0) if after == 0 else (levels[after - 1], quantiles[after - 1])
    above = (levels[after], quantiles[after])
    share = (threshold - below[1]) / (above[1] - below[1])
    return 1.0 - (below[0] + share * (above[0] - below[0]))


def _tail(levels: Sequence[float], quantiles: Sequence[float], threshold: float) -> float:
    last = 1.0 - levels[-1]
    lower = bisect.bisect_left(quantiles, quantiles[-1])
    if lower == 0:
        return 0.0  # all quantiles are equal: a constant load
    rate = math.log((1.0 - levels[lower - 1]) / last) / (quantiles[-1] - quantiles[lower - 1])
    rate = min(rate, STEEPEST)
    return last * math.exp(-rate * (threshold - quantiles[-1]))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Quantiles of many loads, prepared for the ``exceedance`` of all of them together.

    Row h is host h; the last row, all NaN, represents unknown hosts.
    """

    levels: Floats
    """float[L], rising."""
    values: Floats
    """float[H + 1, L], rising along L."""
    top: Floats
    """float[H + 1]: the last quantile, where the tail begins."""
    share: Floats
    """float[H + 1]: the probability of the tail."""
    rate: Floats
    """float[H + 1]: the rate at which the tail falls."""

    @classmethod
    def of(cls, levels: Sequence[float], rows: Sequence[Sequence[float]]) -> Quantiles:
        """From the quantiles of each host, in the order of the rows."""
        count = len(levels)
        values = np.full((len(rows) + 1, count), np.nan)
        values[:-1] = np.array(rows, dtype=np.float64).reshape(len(rows), count)
        if not count:  # no quantiles: no host will be overloaded
            nothing = np.append(np.zeros(len(rows)), np.nan)
            return cls(np.zeros(0), values, nothing, nothing, nothing)
        at, top = np.array(levels, dtype=np.float64), values[:, -1]
        lower = (values < top[:, None]).sum(axis=1)  # the first quantile that equals the top
        before = np.maximum(lower - 1, 0)
        with np.errstate(all="ignore"):
            apart = top - values[np.arange(len(values)), before]
            rate = np.minimum(np.log((1.0 - at[before]) / (1.0 - at[-1])) / apart, STEEPEST)
        changes = lower > 0  # false: a constant or an unknown load
        known = np.append(np.ones(len(rows), dtype=bool), False)
        share = np.where(changes, 1.0 - at[-1], np.where(known, 0.0, np.nan))
        return cls(at, values, top, share, np.where(changes, rate, 0.0))

    def exceedance(self, rows: Ints, thresholds: Floats) -> Floats:
        """Return P(X > threshold) for each of these rows, float[N], like the function above.

        NaN for the last row.
        """
        if not len(self.levels):
            return np.asarray(self.share[rows])
        top = self.top[rows]
        with np.errstate(all="ignore"):
            found = self.share[rows] * np.exp(-self.rate[rows] * (thresholds - top).clip(0.0))
        among = np.flatnonzero(thresholds < top)  # usually few: hosts near overload
        if len(among):
            found[among] = self._between(rows[among], thresholds[among])
        return np.asarray(found)

    def _between(self, rows: Ints, thresholds: Floats) -> Floats:
        """The same for thresholds below the last quantile."""
        values = np.concatenate([np.zeros((len(rows), 1)), self.values[rows]], axis=1)
        levels = np.concatenate([[0.0], self.levels])
        after = (self.values[rows] <= thresholds[:, None]).sum(axis=1)
        each = np.arange(len(rows))
        below, above = values[each, after], values[each, after + 1]
        part = (thresholds - below) / (above - below)
        chance = 1.0 - (levels[after] + part * (levels[after + 1] - levels[after]))
        return np.asarray(np.where(thresholds < 0, 1.0, chance))
