"""Local regression, which CloudSim and OpenStack Neat use to predict overload; for comparison.

Least squares with tricube weights fits a straight line through the last ten samples (Cleveland,
'Robust locally weighted regression', JASA 1979; Beloglazov and Buyya, CCPE 2012, section 5). The
line is extrapolated over the horizon. Its mean over the next n samples is its value (n + 1) / 2
samples ahead.
"""

from __future__ import annotations

import numpy as np

from nova_cachemig.forecast.contract import Forecaster
from nova_cachemig.forecast.history import Floats, History, Ints

WIDTH = 10


class LocalRegression(Forecaster):
    """Loess through the last ten samples, extrapolated."""

    name = "local regression"

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        ages = np.arange(WIDTH)  # 0 is the newest
        columns = origins[:, None] - ages
        inside = np.clip(columns, 0, max(history.length - 1, 0))
        y = history.values[:, inside]  # H, O, WIDTH
        usable = np.isfinite(y) & (columns >= 0)
        weights = np.where(usable, (1 - (ages / WIDTH) ** 3) ** 3, 0.0)
        y = np.where(usable, y, 0.0)
        x = -ages.astype(np.float64)
        total = weights.sum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            x_mean = (weights * x).sum(axis=2) / total
            y_mean = (weights * y).sum(axis=2) / total
            dx = x - x_mean[..., None]
            spread = (weights * dx**2).sum(axis=2)
            slope = (weights * dx * (y - y_mean[..., None])).sum(axis=2) / spread
        slope = np.where(spread > 1e-9, slope, 0.0)
        line = y_mean + slope * ((steps + 1) / 2 - x_mean)
        return np.where(np.isfinite(line), line, history.filled[:, origins])
