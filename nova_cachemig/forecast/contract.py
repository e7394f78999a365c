"""What a forecaster is: points at origins; everything else follows from them.

A forecaster says, for each host and each origin, what the mean load over the next ``steps``
samples will be, knowing only what was seen up to that origin. From those points at past origins
come its errors, and from the errors its quantiles (``intervals``): so each method is judged and
calibrated in the same way, out of sample.
"""

from __future__ import annotations

import abc

import numpy as np

from nova_cachemig.forecast import intervals
from nova_cachemig.forecast.history import Floats, History, Ints
from nova_cachemig.model import load

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""The quantile levels of each forecast."""

MINUTES = 600.0
"""Horizon 'the next minutes', in seconds."""

STAY = 3600.0
"""Horizon 'how long the instance stays', in seconds: the default."""

MAX_SILENCE = 3600.0
"""A host without a sample for that long, in seconds, is unknown (at least three samples' time)."""

MAX_CELLS = 200_000
"""About how many (host, origin) pairs a refit uses; the origins are thinned to that."""

MIN_ORIGINS, MAX_ORIGINS = 100, 600
"""However many hosts there are, between so many origins are used."""


class Forecaster(abc.ABC):
    """One way to forecast load. Stateless: the matrix holds all there is to know."""

    name: str

    @abc.abstractmethod
    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        """Forecast mean load over columns t+1..t+steps for each origin t.

        ``origins`` is int[O], rising; the result is float[H, O], NaN where nothing can be said.
        Column i may depend only on history.values[:, :origins[i] + 1] (and on the step).
        """

    def forecast(self, matrix: load.LoadMatrix, horizon: float = STAY) -> load.Forecast:
        """The forecast from the end of the matrix; never raises for what the matrix holds."""
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
    """Evenly spaced origins that end at the last column, int[O]."""
    many = min(max(MAX_CELLS // history.hosts, MIN_ORIGINS), MAX_ORIGINS)
    stride = -(-history.length // many)
    return np.arange(history.length - 1, -1, -stride, dtype=np.int64)[::-1].copy()
