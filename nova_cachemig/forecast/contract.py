"""The interface of a forecaster: points at origins, from which everything else follows.

For each host and origin, a forecaster gives the mean load over the next ``steps`` samples from the
samples up to that origin. Points at past origins give its errors, and the errors give its quantiles
(``intervals``). Every method is thus judged and calibrated in the same way, out of sample.
"""

from __future__ import annotations

import abc

import numpy as np

from nova_cachemig.forecast import intervals
from nova_cachemig.forecast.history import Floats, History, Ints
from nova_cachemig.model import load

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""The quantile levels of each forecast."""

STAY = 3600.0
"""The default horizon in seconds: the stay of an instance."""

MAX_SILENCE = 3600.0
"""A host is unknown after this many seconds (at least three columns) without a sample."""

MAX_CELLS = 200_000
"""Approximate number of (host, origin) pairs of a refit; more origins are thinned out."""

MIN_ORIGINS, MAX_ORIGINS = 100, 600
"""Limits of the number of origins, for any number of hosts."""


class Forecaster(abc.ABC):
    """A forecasting method. It has no state: the matrix is its only input."""

    name: str

    @abc.abstractmethod
    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        """Return the forecast mean load over columns t+1..t+steps for each origin t.

        ``origins`` is int[O], rising; the result is float[H, O], NaN without a forecast.
        Column i may depend only on history.values[:, :origins[i] + 1] (and on the step).
        """

    def forecast(self, matrix: load.LoadMatrix, horizon: float = STAY) -> load.Forecast:
        """Return the forecast from the end of the matrix. Raises for no values of the matrix."""
        history = History.of(matrix.values, matrix.step)
        hosts: dict[str, load.HostForecast] = {}
        if history.hosts and history.length:
            with np.errstate(all="ignore"):
                hosts = self._hosts(history, matrix.hosts, history.samples(horizon))
        return load.Forecast(
            made_at=matrix.end, horizon=horizon, method=self.name, levels=LEVELS, hosts=hosts
        )

    def _hosts(
        self, history: History, names: tuple[str, ...], steps: int
    ) -> dict[str, load.HostForecast]:
        origins = training_origins(history)
        points = self.points(history, origins, steps)
        bands = intervals.calibrate(history, origins, steps, points, LEVELS)
        silence = max(history.samples(MAX_SILENCE), 3)
        alive = history.seen[:, -silence:].any(axis=1)
        known = alive & np.isfinite(points[:, -1]) & np.isfinite(bands.quantiles).all(axis=1)
        means, quantiles, peaks = (
            points[:, -1].tolist(),
            bands.quantiles.tolist(),
            bands.peak.tolist(),
        )
        return {
            names[h]: load.HostForecast(means[h], tuple(quantiles[h]), tuple(peaks[h]))
            for h in np.flatnonzero(known)
        }


def training_origins(history: History) -> Ints:
    """Return evenly spaced origins that end at the last column, int[O]."""
    many = min(max(MAX_CELLS // history.hosts, MIN_ORIGINS), MAX_ORIGINS)
    stride = -(-history.length // many)
    return np.arange(history.length - 1, -1, -stride, dtype=np.int64)[::-1].copy()
