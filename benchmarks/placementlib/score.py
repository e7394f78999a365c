"""Scores of each method over all seeds, with intervals.

``mae``, ``rmse`` and ``coverage_80`` cover hosts and instants, for the mean load over the horizon.
The *regret* of an instant is the mean load of the chosen host less that of the best host. The
chosen host has the lowest forecast mean. ``top1`` is the share of instants with a regret of 0.

Instants of a seed share hosts and history. An interval is therefore over the means of the seeds
(each one cluster), Student's t at 95 %. Seeds draw from the same machines and days: the interval
describes this trace only. The default's differences have a second interval over the days of the
trace (each one cluster), which describes other days of the same machines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.placementlib.trials import Outcome

Floats = NDArray[np.float64]

DEFAULT = "default"


def regret(outcome: Outcome, method: str) -> float:
    """Return how much busier the chosen host was than the best one."""
    known = np.isfinite(outcome.actual)
    forecast = np.where(known, outcome.forecasts[method][0], np.nan)
    actual = np.where(known, outcome.actual, -np.inf)
    if not np.isfinite(forecast).any():
        return float(actual.max() - outcome.actual[known].min())  # no forecast: the worst choice
    return float(outcome.actual[np.nanargmin(forecast)] - outcome.actual[known].min())


def interval(values: Floats) -> list[float]:
    """Return the 95 % interval of the mean of independent values, [low, high]."""
    n, mean = len(values), float(values.mean())
    if n < 2:
        return [-math.inf, math.inf]
    half = student(n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return [mean - half, mean + half]


def interval_by_day(values: Floats, days: Sequence[str]) -> list[float]:
    """Return the 95 % interval of the mean of values that are dependent within a day.

    Cluster-robust (Liang and Zeger, 'Longitudinal data analysis', Biometrika 1986).
    """
    clusters = [values[np.array(days) == day] - values.mean() for day in sorted(set(days))]
    n, mean = len(clusters), float(values.mean())
    if n < 2:
        return [-math.inf, math.inf]
    spread = math.sqrt(sum(float(c.sum()) ** 2 for c in clusters) * n / (n - 1)) / len(values)
    return [mean - student(n - 1) * spread, mean + student(n - 1) * spread]


def student(freedom: int, level: float = 0.975) -> float:
    """Return Student's quantile by the Cornish-Fisher expansion (Abramowitz and Stegun, 26.7.5)."""
    z, n = NormalDist().inv_cdf(level), float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / n ** (i + 1) for i, term in enumerate(terms))


def by_seed(seeds: Sequence[Sequence[Outcome]], method: str) -> Floats:
    """Return the mean regret of each seed, float[seeds]."""
    return np.array([np.mean([regret(o, method) for o in seed]) for seed in seeds])


def score(seeds: Sequence[Sequence[Outcome]]) -> dict[str, dict[str, Any]]:
    """Return the scores of each method, and the paired differences of the default."""
    seeds = [seed for seed in seeds if seed]
    outcomes = [o for seed in seeds for o in seed]
    methods = list(outcomes[0].forecasts)
    regrets = {method: by_seed(seeds, method) for method in methods}
    scores = {method: _score(outcomes, method, regrets[method]) for method in methods}
    if DEFAULT in scores:
        scores[DEFAULT].update(_paired(regrets, outcomes))
    return scores


def _score(outcomes: Sequence[Outcome], method: str, regrets: Floats) -> dict[str, Any]:
    actual = np.concatenate([o.actual for o in outcomes])
    mean, low, high = np.concatenate([o.forecasts[method] for o in outcomes], axis=1)
    known = np.isfinite(actual) & np.isfinite(mean)
    errors, within = (mean - actual)[known], ((low <= actual) & (actual <= high))[known]
    return {
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "coverage_80": float(within.mean()),
        "regret_mean": float(regrets.mean()),
        "regret_ci95": interval(regrets),
        "top1": float(np.mean([regret(o, method) <= 1e-9 for o in outcomes])),
        "known": float(known.sum() / max(np.isfinite(actual).sum(), 1)),
    }


def _paired(regrets: Mapping[str, Floats], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The default's regret less that of each other method, by seed; negative: better."""
    days = [o.day for o in outcomes]

    def by_day(method: str) -> list[float]:
        return interval_by_day(
            np.array([regret(o, DEFAULT) - regret(o, method) for o in outcomes]), days
        )

    differences = {
        method: {
            "diff_mean": float((regrets[DEFAULT] - other).mean()),
            "diff_ci95": interval(regrets[DEFAULT] - other),
            "diff_ci95_days": by_day(method),
            "days": len(set(days)),
        }
        for method, other in regrets.items()
        if method != DEFAULT
    }
    if not differences:
        return {"vs": differences}
    best = min(differences, key=lambda method: float(regrets[method].mean()))
    return {"vs_best": {"method": best, **differences[best]}, "vs": differences}
