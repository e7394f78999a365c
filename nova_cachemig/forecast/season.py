"""Seasons: the period of a host's load, and the forecast that follows from it.

A period is a lag at which the autocorrelation (by FFT, Wiener-Khinchin) has a significant local
maximum after a dip. Without a season its standard error is Bartlett's: sqrt((1 + 2 sum r(l)^2) /
n), summed over the lags up to half the period. Slow noise has a wide autocorrelation, and needs a
higher maximum. At least three periods must have been seen. The search runs at several points of the
history, so that a forecast at a past origin knows only earlier periods.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from nova_cachemig.forecast.history import Floats, History, Ints

CHECKPOINTS = (0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""Points of the history at which periods are searched, as fractions of its length."""

CYCLES = 3
"""Minimum number of whole periods in the history."""

SIGMAS = 2.5
WEAKEST = 0.3
"""Minimum share of the variance that a season explains (autocorrelation at its period)."""

MOST_CYCLES = 8
"""Maximum number of past cycles in the profile of a season."""


@dataclasses.dataclass(frozen=True, eq=False)
class Periods:
    """For each host: its period in samples (0: none found) and the autocorrelation there."""

    lags: Ints
    strength: Floats


def autocorrelation(values: Floats, most: int) -> Floats:
    """Return the autocorrelation at lags 0..most, float[H, most + 1]; gaps (NaN) are left out."""
    seen = np.isfinite(values)
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    mean = np.where(seen, values, 0.0).sum(axis=1, keepdims=True) / count
    x = np.where(seen, values - mean, 0.0)
    size = 1 << int(values.shape[1] + most).bit_length()
    power = np.abs(np.fft.rfft(x, size)) ** 2
    raw = np.fft.irfft(power, size)[:, : most + 1]
    lengths = values.shape[1] / (values.shape[1] - np.arange(most + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = raw * lengths / raw[:, :1]
    return np.nan_to_num(np.where(raw[:, :1] > 1e-9 * count, r, 0.0))


def find(values: Floats) -> Periods:
    """Find the period of each host's load in float[H, T]."""
    hosts, length = values.shape
    most = length // CYCLES
    if most < 3:
        return Periods(np.zeros(hosts, dtype=np.int64), np.zeros(hosts))
    r = autocorrelation(values, most + 1)
    lags = np.arange(most + 2)
    bartlett = np.sqrt((1 + 2 * np.cumsum(r[:, 1:] ** 2, axis=1)) / length)
    error = bartlett[:, np.maximum(lags // 2 - 1, 0)]
    dip = np.minimum.accumulate(r, axis=1)
    good = (r > np.maximum(SIGMAS * error, WEAKEST)) & (dip < r / 2)
    good[:, 1:-1] &= (r[:, 1:-1] >= r[:, :-2]) & (r[:, 1:-1] >= r[:, 2:])
    good[:, :2] = False
    good[:, -1] = False
    best = np.where(good, r, 0.0).max(axis=1)
    near = good & (r >= 0.9 * best[:, None])
    lag = np.where(best > 0, near.argmax(axis=1), 0)
    return Periods(lag.astype(np.int64), np.where(best > 0, r[np.arange(hosts), lag], 0.0))


def rolling(history: History, origins: Ints) -> tuple[Ints, Floats]:
    """Return period and strength known at each origin, int[H, O] and float[H, O]."""
    lags = np.zeros((history.hosts, len(origins)), dtype=np.int64)
    strength = np.zeros(lags.shape)
    for fraction in CHECKPOINTS:
        length = int(history.length * fraction)
        found = find(history.values[:, :length])
        later = origins + 1 >= length
        lags[:, later] = found.lags[:, None]
        strength[:, later] = found.strength[:, None]
    return lags, strength


def profile(
    history: History, origins: Ints, lags: Ints, begin: int, end: int, steps: int
) -> Floats:
    """Return the season's mean over columns t+begin..t+end-1 for each origin t, float[H, O].

    It is the mean of the same phase over past cycles. ``lags`` is int[H, O], the period; without
    one (0) the result is NaN. Each cycle lies enough whole periods back for t + steps to be known.
    """
    whole = lags * -(-steps // np.maximum(lags, 1))
    total, count = np.zeros(lags.shape), np.zeros(lags.shape)
    for cycle in range(1, MOST_CYCLES + 1):
        back = origins - cycle * np.where(whole > 0, whole, history.length + steps + 1)
        if (back + end <= 0).all():
            break
        sums, counts = history.between(back + begin, back + end)
        total += sums
        count += counts
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / count + history.shift)
