"""Compares earlier forecasts with the loads that came, for the operator.

The loads of the last column before the forecast are the comparison: a forecast that is no better
than they are does not help.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Final

import numpy as np

from nova_cachemig.forecast.history import Floats
from nova_cachemig.model.load import Forecast, LoadMatrix

KEPT: Final = 12
"""Forecasts of one horizon that are kept; the others are not judged."""

LEAST: Final = 0.5
"""Part of the columns within the horizon of which a host must have a sample."""


@dataclasses.dataclass(frozen=True, slots=True)
class Score:
    """The newest forecast whose horizon is over. Errors are mean absolute ones of the hosts."""

    made_at: float
    hosts: int
    error: float  # in the unit of the metric
    last_value_error: float  # of the loads before the forecast
    covered: float  # part of the hosts with a mean between the outer quantiles


class Judge:
    """Keeps some forecasts until their horizon is over."""

    def __init__(self) -> None:
        self._kept: collections.deque[Forecast] = collections.deque(maxlen=KEPT + 1)
        self.latest: Score | None = None

    def keep(self, forecast: Forecast) -> None:
        """Remember a forecast, unless the last one is too recent."""
        if not forecast.hosts or not forecast.levels:
            return
        apart = forecast.horizon / KEPT
        if not self._kept or forecast.made_at - self._kept[-1].made_at >= apart:
            self._kept.append(forecast)

    def judge(self, matrix: LoadMatrix) -> None:
        """Set :attr:`latest` to the score of the newest forecast whose horizon is over."""
        due: Forecast | None = None
        while self._kept and self._kept[0].made_at + self._kept[0].horizon <= matrix.end:
            due = self._kept.popleft()
        if due is not None and (found := score(due, matrix)) is not None:
            self.latest = found


def score(forecast: Forecast, matrix: LoadMatrix) -> Score | None:
    """Return the score of one forecast; None if no host has enough samples."""
    times = matrix.start + matrix.step * np.arange(matrix.values.shape[1])
    within = (times > forecast.made_at) & (times <= forecast.made_at + forecast.horizon)
    before = np.flatnonzero(times <= forecast.made_at)
    rows = [row for row, host in enumerate(matrix.hosts) if host in forecast.hosts]
    if not within.any() or not before.size or not rows:
        return None
    seen, last = matrix.values[rows][:, within], matrix.values[rows, before[-1]]
    enough = (np.isfinite(seen).mean(axis=1) >= LEAST) & np.isfinite(last)
    if not enough.any():
        return None
    made = [forecast.hosts[matrix.hosts[row]] for row in rows]
    actual: Floats = np.nanmean(seen[enough], axis=1)
    means = np.array([host.mean for host in made])[enough]
    low, high = (np.array([host.quantiles[end] for host in made])[enough] for end in (0, -1))
    return Score(
        made_at=forecast.made_at,
        hosts=int(enough.sum()),
        error=float(np.abs(means - actual).mean()),
        last_value_error=float(np.abs(last[enough] - actual).mean()),
        covered=float(((low <= actual) & (actual <= high)).mean()),
    )
