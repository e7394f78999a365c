"""Exponential smoothing by Holt and by Holt and Winters, for all hosts together.

The additive forms of Hyndman and Athanasopoulos ('Forecasting: Principles and Practice', sections
8.2 and 8.3), in error-correction form. alpha, beta and gamma are fixed: these methods are for
comparison. The state stays the same over a gap.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from nova_cachemig.forecast.contract import Forecaster
from nova_cachemig.forecast.history import Floats, History, Ints

ALPHA, BETA, GAMMA = 0.3, 0.1, 0.2
"""Parameters of Holt's method per sample; beta is that of the textbook's beta* form."""

SEASON_ALPHA = 0.1
"""alpha of the level with a season: lower, or the level would follow the season."""

DAY = 86400.0


@dataclasses.dataclass
class _State:
    level: Floats
    trend: Floats
    season: Floats
    """float[H, period]; zero until a whole period was seen."""
    alpha: float = ALPHA

    def step(self, sample: Floats, phase: int) -> None:
        """Add one column of samples, float[H]; NaN is a gap."""
        known = np.isfinite(sample)
        first = known & np.isnan(self.level)
        self.level = np.where(first, sample, self.level)
        season = self.season[:, phase]
        error = np.where(known & ~first, sample - self.level - self.trend - season, 0.0)
        self.level = self.level + np.where(known & ~first, self.trend, 0.0) + self.alpha * error
        self.trend = self.trend + self.alpha * BETA * error
        if self.season.shape[1] > 1:
            self.season[:, phase] = season + GAMMA * error

    def begin_season(self, first: Floats) -> None:
        """Initialise the season from the first whole period, float[H, period], which ends now."""
        count = np.maximum(np.isfinite(first).sum(axis=1), 1)
        mean = np.nansum(first, axis=1) / count
        self.season = np.nan_to_num(first - mean[:, None])
        self.level = np.where(np.isnan(self.level), np.nan, mean)
        self.trend = np.zeros_like(mean)
        self.alpha = SEASON_ALPHA

    def ahead(self, phase: int, steps: int) -> Floats:
        """Return the mean over the ``steps`` samples after this phase, float[H]."""
        period = self.season.shape[1]
        season = self.season[:, (phase + 1 + np.arange(steps)) % period].mean(axis=1)
        return np.asarray(self.level + self.trend * (steps + 1) / 2 + season)


class Holt(Forecaster):
    """Level and linear trend."""

    name = "holt"

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        return _smooth(history, origins, steps, period=1)


class HoltWinters(Forecaster):
    """Level, linear trend and a season of a day; Holt's method until a day was seen."""

    name = "holt-winters"

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        return _smooth(history, origins, steps, period=history.samples(DAY))


def _smooth(history: History, origins: Ints, steps: int, period: int) -> Floats:
    """Return the points with a season of ``period`` samples; 1: no season."""
    hosts = history.hosts
    result = np.full((hosts, len(origins)), np.nan)
    state = _State(np.full(hosts, np.nan), np.zeros(hosts), np.zeros((hosts, 1)))
    wanted = {int(t): i for i, t in enumerate(origins)}
    columns = history.values.T.copy()
    for t in range(history.length):
        phase = t % state.season.shape[1]
        state.step(columns[t], phase)
        if period > 1 and t == period - 1:
            state.begin_season(history.values[:, :period])
            phase = period - 1
        if t in wanted:
            result[:, wanted[t]] = state.ahead(phase, steps)
    return result
