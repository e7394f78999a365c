"""How likely a load is to pass a threshold within the horizon, from a host's forecast quantiles.

The distribution function is linear between the quantiles. Above the last level the tail falls
exponentially, by the slope between the last two different quantiles; below the first it is linear
down to a load of zero.
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
"""Of a tail: quantiles may differ by so little that their slope is no number."""


def probability(
    forecast: load.Forecast, host: str, threshold: float, *, peak: bool = True
) -> float | None:
    """P(load passes the threshold within the horizon); None for an unknown host.

    With ``peak`` the highest sample is meant, otherwise the mean over the horizon. The threshold
    is in the unit of the forecast.
    """
    known = forecast.hosts.get(host)
    if known is None or not forecast.levels:
        return None
    return exceedance(forecast.levels, known.peak if peak else known.quantiles, threshold)


def exceedance(levels: Sequence[float], quantiles: Sequence[float], threshold: float) -> float:
    """P(X > threshold) of a load with these quantiles; both sequences rise."""
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
        return 0.0  # all quantiles are one: a load that never changes
    rate = math.log((1.0 - levels[lower - 1]) / last) / (quantiles[-1] - quantiles[lower - 1])
    rate = min(rate, STEEPEST)
    return last * math.exp(-rate * (threshold - quantiles[-1]))


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Quantiles of many loads, made ready for ``exceedance`` of all of them at once.

    Row h is host h; a last row, all NaN, stands for a host of which nothing is known.
    """

    levels: Floats
    """float[L], rising."""
    values: Floats
    """float[H + 1, L], rising along L."""
    top: Floats
    """float[H + 1]: the last quantile. Above it the tail begins; its share and how it falls:"""
    share: Floats
    rate: Floats

    @classmethod
    def of(cls, levels: Sequence[float], rows: Sequence[Sequence[float]]) -> Quantiles:
        """Of the quantiles of each host, in the order of their rows."""
        count = len(levels)
        values = np.full((len(rows) + 1, count), np.nan)
        values[:-1] = np.array(rows, dtype=np.float64).reshape(len(rows), count)
        if not count:  # nothing is said of a host: it will not be overloaded
            nothing = np.append(np.zeros(len(rows)), np.nan)
            return cls(np.zeros(0), values, nothing, nothing, nothing)
        at, top = np.array(levels, dtype=np.float64), values[:, -1]
        lower = (values < top[:, None]).sum(axis=1)  # the first of the quantiles that equal the top
        before = np.maximum(lower - 1, 0)
        with np.errstate(all="ignore"):
            apart = top - values[np.arange(len(values)), before]
            rate = np.minimum(np.log((1.0 - at[before]) / (1.0 - at[-1])) / apart, STEEPEST)
        changes = lower > 0  # not: a load that never changes, or nobody knows
        known = np.append(np.ones(len(rows), dtype=bool), False)
        share = np.where(changes, 1.0 - at[-1], np.where(known, 0.0, np.nan))
        return cls(at, values, top, share, np.where(changes, rate, 0.0))

    def exceedance(self, rows: Ints, thresholds: Floats) -> Floats:
        """P(X > threshold) of each of these rows, float[N], as the function of that name says.

        NaN for the last row.
        """
        if not len(self.levels):
            return np.asarray(self.share[rows])
        top = self.top[rows]
        with np.errstate(all="ignore"):
            found = self.share[rows] * np.exp(-self.rate[rows] * (thresholds - top).clip(0.0))
        among = np.flatnonzero(thresholds < top)  # mostly few: hosts that may well be overloaded
        if len(among):
            found[among] = self._between(rows[among], thresholds[among])
        return np.asarray(found)

    def _between(self, rows: Ints, thresholds: Floats) -> Floats:
        """Of thresholds below the last quantile."""
        values = np.concatenate([np.zeros((len(rows), 1)), self.values[rows]], axis=1)
        levels = np.concatenate([[0.0], self.levels])
        after = (self.values[rows] <= thresholds[:, None]).sum(axis=1)
        each = np.arange(len(rows))
        below, above = values[each, after], values[each, after + 1]
        part = (thresholds - below) / (above - below)
        chance = 1.0 - (levels[after] + part * (levels[after + 1] - levels[after]))
        return np.asarray(np.where(thresholds < 0, 1.0, chance))
