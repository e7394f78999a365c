"""The default: several forecasters, weighed by how each has lately done in this cloud.

At each origin the weight of a member is that of a Bayesian with Gaussian errors of unknown size:
proportional to (mean square error)^(-n/2), with n the independent forecasts whose outcome is
known, tempered since hosts err together. Errors are out of sample, divided by the host's scale,
and forgotten with a half-life. With little evidence the weights are the prior's. (Bates and
Granger, 'The combination of forecasts', 1969; Yang, 'Combining forecasting procedures', 2004.)
"""

from __future__ import annotations

import numpy as np

from nova_cachemig.forecast import features, pooled
from nova_cachemig.forecast.contract import Forecaster, training_origins
from nova_cachemig.forecast.history import Floats, History, Ints
from nova_cachemig.forecast.simple import Ewma, LastValue, WindowMean
from nova_cachemig.model import load

HALF_LIFE = 86400.0
"""Errors of that age, in seconds, count half."""

TEMPER = 0.1
"""How much of the evidence is independent: errors of neighbours in time and in the cloud go
together."""

RIDGES = (30.0, 300.0)

MEMBERS = ("last value", "ewma", "mean 1h", "slow ewma", "season", "pooled", "pooled, cautious")
PRIOR = (1.0, 1.0, 1.0, 3.0, 1.0, 3.0, 3.0)


class Adaptive(Forecaster):
    """Weighs simple methods, the season found and the pooled regression; the default."""

    name = "default"

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        members, scale = _members(history, origins, steps)
        weights = member_weights(history, origins, steps, members, scale)
        return np.asarray(np.einsum("ko,kho->ho", weights, members))

    def weights(self, matrix: load.LoadMatrix, horizon: float) -> dict[str, float]:
        """What each member counts now, by its name; they add up to one. For people."""
        history = History.of(matrix.values, matrix.step)
        if not history.hosts or not history.length:
            return {}
        origins, steps = training_origins(history), history.samples(horizon)
        with np.errstate(all="ignore"):
            members, scale = _members(history, origins, steps)
            now = member_weights(history, origins, steps, members, scale)[:, -1]
        return dict(zip(MEMBERS, now.tolist(), strict=True))


def _members(history: History, origins: Ints, steps: int) -> tuple[Floats, Floats]:
    """Points of all members, float[K, H, O], and the scale of errors, float[H, O]."""
    rows = features.rows(history, origins, steps)
    problem = pooled.Problem.of(history, origins, steps, rows)
    slow = rows.base + rows.x[..., features.NAMES.index("slow ewma")]
    simple = [m.points(history, origins, steps) for m in (LastValue(), Ewma(), WindowMean())]
    fitted = [pooled.predict(problem, rows, ridge) for ridge in RIDGES]
    return np.stack([*simple, slow, rows.seasonal, *fitted]), rows.scale


def member_weights(
    history: History, origins: Ints, steps: int, members: Floats, scale: Floats
) -> Floats:
    """Each member's weight at each origin, float[K, O], from the errors known there."""
    errors = (members - history.ahead(origins, steps)) / scale
    known = np.isfinite(errors).all(axis=0)
    losses = np.where(known, errors, 0.0) ** 2
    stride = float(np.diff(origins).mean()) if len(origins) > 1 else 1.0
    keep = 0.5 ** (stride * history.step / HALF_LIFE)
    ages = np.arange(len(origins))
    total = _discounted(losses.sum(axis=1), keep, ages)
    count = _discounted(known.sum(axis=0)[None].astype(np.float64), keep, ages)[0]
    done = pooled.completed(origins, steps)
    total, count = pooled.at(total.T, done), pooled.at(count, done)
    evidence = TEMPER * count / max(1.0, steps / stride)
    best = total.min(axis=1, keepdims=True)
    ratio = (total + 1e-12) / (best + 1e-12)
    log = np.log(np.array(PRIOR)) - evidence[:, None] / 2 * np.log(ratio)
    weights = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray((weights / weights.sum(axis=1, keepdims=True)).T)


def _discounted(values: Floats, keep: float, ages: Ints) -> Floats:
    """Running sums along the last axis in which older entries count less, float[K, O]."""
    result = np.empty_like(values)
    running = np.zeros(values.shape[0])
    for i in ages:
        running = running * keep + values[:, i]
        result[:, i] = running
    return result
