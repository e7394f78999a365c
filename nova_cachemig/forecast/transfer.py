"""The load that an instance adds to its destination, and removes from its source.

The means add. The distance d of each quantile from the mean adds like a standard deviation:
sqrt(a^2 + b^2 + 2 r a b), on the same side. This is exact for normal loads of correlation r, and
for any loads if r = 1. Instance and host must have the same unit: ``share`` converts an instance's
per cent of its own vCPUs, as its number of vCPUs over the host's CPUs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from nova_cachemig.model.load import HostForecast

CORRELATION = 0.0
"""Correlation of an instance's load with the load of the rest of the host."""


def arrive(
    host: HostForecast,
    instance: HostForecast,
    share: float = 1.0,
    correlation: float = CORRELATION,
) -> HostForecast:
    """Return the host's forecast with the instance on it, as a destination."""

    def spread(a: float, b: float) -> float:
        return math.sqrt(max(a * a + b * b + 2 * correlation * a * b, 0.0))

    return _combine(host, instance, share, 1.0, spread)


def leave(
    host: HostForecast,
    instance: HostForecast,
    share: float = 1.0,
    correlation: float = CORRELATION,
) -> HostForecast:
    """Return the host's forecast without the instance that is on it, as a source.

    The remaining uncertainty a solves the equation of ``arrive``: whole^2 = a^2 + b^2 + 2 r a b.
    """

    def spread(whole: float, b: float) -> float:
        root = whole * whole - b * b * (1 - correlation * correlation)
        return max(math.sqrt(max(root, 0.0)) - correlation * b, 0.0)

    return _combine(host, instance, share, -1.0, spread)


def _combine(
    host: HostForecast,
    instance: HostForecast,
    share: float,
    sign: float,
    spread: Callable[[float, float], float],
) -> HostForecast:
    mean = max(host.mean + sign * share * instance.mean, 0.0)

    def quantiles(of_host: tuple[float, ...], of_instance: tuple[float, ...]) -> tuple[float, ...]:
        result = []
        for h, i in zip(of_host, of_instance, strict=True):
            away = h - host.mean
            size = spread(abs(away), abs(i - instance.mean) * share)
            result.append(max(mean + math.copysign(size, away), 0.0))
        return tuple(itertools.accumulate(result, max))

    own = quantiles(host.quantiles, instance.quantiles)
    highest = quantiles(host.peak, instance.peak)
    return HostForecast(mean, own, tuple(max(p, q) for p, q in zip(highest, own, strict=True)))
