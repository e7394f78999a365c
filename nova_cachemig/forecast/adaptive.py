"""The default method: several forecasters, mixed by their recent losses in this cloud.

The weights come from online aggregation (``aggregate``), which bounds how much worse the mixture
can be than its best member, for any loads. The members are simple methods, the detected
season, and the pooled regression with a weak and a strong ridge. The prior favours the two members
that did best on the traces used for tuning (see the benchmark page). The other members have little
weight unless they do better.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from nova_cachemig.forecast import features, pooled
from nova_cachemig.forecast.aggregate import Losses, aggregate
from nova_cachemig.forecast.contract import Forecaster, training_origins
from nova_cachemig.forecast.history import Floats, History, Ints
from nova_cachemig.forecast.simple import Ewma, LastValue, WindowMean
from nova_cachemig.model import load

MEMBERS: Final = ("last value", "ewma", "mean 1h", "slow ewma", "season", "quick pooled", "pooled")
PRIOR: Final = (0.5, 0.5, 0.5, 4.0, 0.5, 1.0, 4.0)
"""Prior weight of each member; a prior weight p costs log(1 / p) in the bound."""

RIDGES: Final = (30.0, pooled.RIDGE)


class Adaptive(Forecaster):
    """Mixes simple methods, the season and the pooled regression. The default."""

    name = "default"

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        members, scale = _members(history, origins, steps)
        weights = member_weights(history, origins, steps, members, scale)
        return np.asarray(np.einsum("ko,kho->ho", weights, members))

    def weights(self, matrix: load.LoadMatrix, horizon: float) -> dict[str, float]:
        """Return the current weight of each member by name; they add up to one."""
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
    """Return each member's weight at each origin, float[K, O], from the losses known there."""
    losses = Losses.of(members, history.ahead(origins, steps), scale)
    return aggregate(losses, pooled.completed(origins, steps), np.array(PRIOR)).T
