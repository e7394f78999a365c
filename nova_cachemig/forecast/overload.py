"""How likely a load is to pass a threshold within the horizon, from a host's forecast quantiles.

The distribution function is linear between the quantiles. Above the last level the tail falls
exponentially, by the slope between the last two different quantiles; below the first it is linear
down to a load of zero.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from nova_cachemig.model import load


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
    return last * math.exp(-rate * (threshold - quantiles[-1]))
