"""Quantiles from a forecaster's own past errors.

Split conformal prediction with a scale for each host (Lei et al., 'Distribution-free predictive
inference for regression', JASA 2018, section 5.2), on rolling out-of-sample residuals: the
residual of host h at a past origin, divided by the scale of h, is one draw of the pooled error;
its empirical quantiles times the scale of h lie around the point forecast. The scale is the
host's root mean square residual, shrunk to that of all hosts where the host has little history.

A scale from few errors is itself uncertain, and what comes lies outside more often than the errors
seen did. As for normal errors, whose quantiles are then Student's, the quantiles are moved away
from the median by t(p) / z(p), with the degrees of freedom that the errors themselves show
(``freedom``): many hours and hosts that err each for itself have many, a few hosts of one day that
err together have few.
"""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nova_cachemig.forecast.history import Floats, History, Ints

PRIOR_WINDOWS = 2.0
"""The pooled scale counts as much as so many horizons of a host's own history."""

WARM = 3600.0
"""Origins with less history than that, in seconds, say little of errors now."""

LEAST_FREEDOM = 2.0
"""Fewer degrees of freedom are not believed: the quantiles would say nothing any more."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bands:
    """Quantiles around the forecasts at the last origin, each float[H, L], rising along L."""

    quantiles: Floats
    peak: Floats


def calibrate(
    history: History, origins: Ints, steps: int, points: Floats, levels: tuple[float, ...]
) -> Bands:
    """Quantiles of the mean load and of the peak load after the last origin."""
    actual = history.ahead(origins, steps)
    errors = np.where(_warm(history, origins, actual - points), actual - points, np.nan)
    highs = np.where(np.isnan(errors), np.nan, history.ahead_peak(origins, steps) - points)
    overlap = _overlap(origins, steps)
    scale, others = host_scale(errors, overlap), host_scale(errors, overlap, left_out=True)
    now = points[:, -1:]
    if not np.isfinite(errors).any():
        quantiles = now * np.array([[1 + NormalDist().inv_cdf(p) / 2 for p in levels]])
        peak = quantiles
    else:
        wider = _wider(freedom(errors / others, overlap), levels)
        quantiles = now + scale * _pooled(errors / others, levels, wider)
        peak = now + scale * _pooled(highs / others, levels, wider)
    quantiles = np.maximum(quantiles, 0.0)
    return Bands(quantiles, np.maximum(peak, quantiles))


def host_scale(errors: Floats, overlap: float, *, left_out: bool = False) -> Floats:
    """Root mean square error of each host, shrunk to the pool's, float[H, 1], above zero.

    ``errors`` is float[H, O] with NaN; ``overlap`` is how many neighbouring origins share a target.
    With ``left_out``, float[H, O]: at each origin without the errors that share its target, as the
    next error is not in the scale either.
    """
    known = np.isfinite(errors)
    squares = np.where(known, errors, 0.0) ** 2
    own = known.sum(axis=1, keepdims=True) / overlap
    total = squares.sum(axis=1, keepdims=True) / overlap
    pool = total.sum() / max(own.sum(), 1e-12)
    if left_out:
        own, total = np.maximum(own - 1, 0.0), np.maximum(total - squares, 0.0)
    shrunk = (total + PRIOR_WINDOWS * pool) / (own + PRIOR_WINDOWS)
    return np.asarray(np.sqrt(np.maximum(shrunk, 1e-4 * pool)) + 1e-12)


def freedom(errors: Floats, overlap: float) -> float:
    """Degrees of freedom of the scale of these errors, float[H, O] with NaN; at least two.

    Those of a variance that is as uncertain as the mean square of the errors turns out to be from
    one origin to the next (Satterthwaite, 'An approximate distribution of estimates of variance
    components', Biometrics Bulletin 1946). All errors of one origin are one draw, as hosts may err
    together; ``overlap`` origins that share a target are one too.
    """
    known = np.isfinite(errors)
    count = known.sum(axis=0)
    if (count > 0).sum() < 2:
        return LEAST_FREEDOM
    squares = (np.where(known, errors, 0.0) ** 2).sum(axis=0)[count > 0] / count[count > 0]
    draws = len(squares) / overlap
    spread = float(squares.var()) / draws
    return max(2.0 * float(squares.mean()) ** 2 / max(spread, 1e-12), LEAST_FREEDOM)


def _wider(freedom: float, levels: tuple[float, ...]) -> Floats:
    """t(p) / z(p) of each level, float[L], to the first order (Abramowitz and Stegun, 26.7.5)."""
    z = np.array([NormalDist().inv_cdf(p) for p in levels])
    return np.asarray(1.0 + (z**2 + 1.0) / (4.0 * freedom))


def _overlap(origins: Ints, steps: int) -> float:
    stride = float(np.diff(origins).mean()) if len(origins) > 1 else 1.0
    return max(1.0, steps / stride)


def _warm(history: History, origins: Ints, errors: Floats) -> NDArray[np.bool_]:
    """Which errors count: those of warm origins, or all where no warm one is known."""
    known = np.isfinite(errors)
    warm = known & (origins + 1 >= history.samples(WARM))
    return warm if warm.any() else known


def _pooled(errors: Floats, levels: tuple[float, ...], wider: Floats) -> Floats:
    """Quantiles of all errors, float[1, L], so much farther from their median."""
    median, *quantiles = np.quantile(errors[np.isfinite(errors)], (0.5, *levels))
    return np.asarray(median + (np.array(quantiles) - median) * wider)[None, :]
