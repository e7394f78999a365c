"""One ridge regression over the histories of all hosts, refitted at every origin.

The target is the mean load over the next samples less the base. Rows are divided by the scale of
their host (weighted least squares). The coefficients at an origin come from the rows whose target
was known there, by running sums of the normal equations, so each point is out of sample.

The ridge is relative to each feature's size and weakens with the evidence: A + (strength / n)
diag(A), where n is the number of rows that do not overlap. With little evidence the forecast is
the base. (Hoerl and Kennard, 1970; pooling over series: Montero-Manso and Hyndman, 'Principles and
algorithms for forecasting groups of time series', 2021.)
"""

from __future__ import annotations

import dataclasses

import numpy as np

from nova_cachemig.forecast import features
from nova_cachemig.forecast.contract import Forecaster
from nova_cachemig.forecast.history import Floats, History, Ints

RIDGE = 300.0
"""Weight of the prior, in independent rows."""


class PooledRegression(Forecaster):
    """Ridge regression on means at many scales and on seasons, pooled over hosts."""

    name = "pooled regression"

    def __init__(self, ridge: float = RIDGE) -> None:
        self.ridge = ridge

    def points(self, history: History, origins: Ints, steps: int) -> Floats:
        rows = features.rows(history, origins, steps)
        return predict(Problem.of(history, origins, steps, rows), rows, self.ridge)


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Running normal equations: entry i covers all rows whose target is known at origin i."""

    gram: Floats
    """float[O, F, F]: sum of x x' / scale^2."""
    moment: Floats
    """float[O, F]: sum of x y / scale^2."""
    count: Floats
    """float[O]: number of rows; rows that overlap count as one."""
    low: Floats
    high: Floats
    """float[H, O]: the range of the host's loads up to the origin."""

    @classmethod
    def of(cls, history: History, origins: Ints, steps: int, rows: features.Rows) -> Problem:
        y = history.ahead(origins, steps) - rows.base
        known = np.isfinite(y)
        x = np.where(known[..., None], rows.x / rows.scale[..., None], 0.0).transpose(1, 0, 2)
        y = np.where(known, y / rows.scale, 0.0).T
        gram = np.matmul(x.transpose(0, 2, 1), x).cumsum(axis=0)
        moment = np.matmul(x.transpose(0, 2, 1), y[..., None])[..., 0].cumsum(axis=0)
        stride = float(np.diff(origins).mean()) if len(origins) > 1 else 1.0
        count = known.sum(axis=0).cumsum() / max(1.0, steps / stride)
        done = completed(origins, steps)
        low = np.minimum.accumulate(np.where(history.seen, history.values, np.inf), axis=1)
        high = np.maximum.accumulate(np.where(history.seen, history.values, -np.inf), axis=1)
        return cls(
            at(gram, done), at(moment, done), at(count, done), low[:, origins], high[:, origins]
        )


def completed(origins: Ints, steps: int) -> Ints:
    """Return the number of origins whose whole target is known at each origin, int[O]."""
    return np.searchsorted(origins, origins - steps, side="right")


def at(sums: Floats, done: Ints) -> Floats:
    """Return the running sums over the first ``done`` origins; zero for none."""
    padded = np.concatenate([np.zeros((1, *sums.shape[1:])), sums])
    return padded[done]


def predict(problem: Problem, rows: features.Rows, ridge: float) -> Floats:
    """Return the regression's points, float[H, O], limited to the range of the host's loads."""
    coefficients = solve(problem, ridge)
    change = np.einsum("hof,of->ho", rows.x, coefficients)
    return np.asarray(np.clip(rows.base + change, problem.low, problem.high))


def solve(problem: Problem, ridge: float) -> Floats:
    """Return the coefficients at each origin, float[O, F]; 0 for a feature never seen."""
    diagonal = np.einsum("off->of", problem.gram)
    relative = ridge / np.maximum(problem.count, 1e-9)
    top = diagonal.max(axis=1, keepdims=True)
    penalty = relative[:, None] * diagonal + 1e-9 * top + (top == 0) + 1e-300
    system = problem.gram + penalty[..., None] * np.eye(problem.gram.shape[1])
    solution = np.linalg.solve(system, problem.moment[..., None])[..., 0]
    return np.asarray(np.where(np.isfinite(solution), solution, 0.0))
