"""The default: several forecasters, mixed by how their mixture has lately done in this cloud.

At each origin the weights w, which are shares of one, are those that minimise

    evidence / 2 * log(mean square error of the mixture w) + Kullback-Leibler divergence(w, prior)

This is stacking (Wolpert, 'Stacked generalization', 1992; Bates and Granger, 'The combination of
forecasts', 1969) with Gaussian errors of unknown size and a prior: what counts is how well members
do together, not which of them is best alone. Errors are out of sample, divided by the host's
scale, and forgotten with a half-life. The evidence grows with the forecasts whose outcome is
known, up to a limit: a cloud changes, and members that are nearly as good err in other ways.
Without evidence the weights are the prior's.
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

TEMPER = 0.05
"""How much of the evidence is independent: errors of neighbours in time and in the cloud go
together."""

MOST_EVIDENCE = 20.0
"""So many independent forecasts at most are what the past tells of the next one."""

ROUNDS = 60
FASTEST = 0.3
"""Steps of the search for the weights, and how far one goes at most."""

RIDGES = (30.0, 300.0)

MEMBERS = ("last value", "ewma", "mean 1h", "slow ewma", "season", "pooled", "pooled, cautious")
PRIOR = (1.0, 1.0, 1.0, 3.0, 1.0, 2.0, 3.0)


class Adaptive(Forecaster):
    """Mixes simple methods, the season found and the pooled regression; the default."""

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
    rows = np.where(known, errors, 0.0).transpose(2, 0, 1)  # O, K, H
    products = np.matmul(rows, rows.transpose(0, 2, 1))
    stride = float(np.diff(origins).mean()) if len(origins) > 1 else 1.0
    keep = 0.5 ** (stride * history.step / HALF_LIFE)
    done = pooled.completed(origins, steps)
    total = pooled.at(_discounted(products, keep), done)
    count = pooled.at(_discounted(known.sum(axis=0).astype(np.float64), keep), done)
    evidence = np.minimum(TEMPER * count / max(1.0, steps / stride), MOST_EVIDENCE)
    return _mixture(total, evidence[:, None]).T


def _mixture(products: Floats, evidence: Floats) -> Floats:
    """The weights at each origin, float[O, K], by mirror descent.

    ``products`` is float[O, K, K], sums of products of two members' errors; ``evidence`` is
    float[O, 1].
    """
    prior = np.log(np.array(PRIOR) / sum(PRIOR))
    log = np.broadcast_to(prior, products.shape[:2])
    weights = np.exp(log)
    own = np.einsum("okk->ok", products)
    for _ in range(ROUNDS):
        slope = np.matmul(products, weights[..., None])[..., 0]
        square = np.maximum((weights * slope).sum(axis=1, keepdims=True), 1e-300)
        apart = (weights * own).sum(axis=1, keepdims=True) / square - 1  # the curvature
        pace = np.minimum(FASTEST, 1 / (1 + evidence * np.maximum(apart, 0)))
        log = log + pace * (prior - evidence * slope / square - log)
        log = log - log.max(axis=1, keepdims=True)
        weights = np.exp(log)
        weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights)


def _discounted(values: Floats, keep: float) -> Floats:
    """Running sums along the first axis, of origins, in which older entries count less."""
    result = np.empty_like(values)
    running = np.zeros(values.shape[1:])
    for i, entry in enumerate(values):
        running = running * keep + entry
        result[i] = running
    return result
