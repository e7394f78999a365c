"""Quantiles from a forecaster's past errors.

Split conformal prediction with a scale for each host, on rolling out-of-sample errors (Lei and
others, 'Distribution-free predictive inference for regression', JASA 2018, section 5.2). The error
of a host at a past origin, divided by the host's scale, is one draw of the pooled error. The
empirical quantiles of the draws, times the scale of a host, lie around its point forecast. The
scale is the host's root mean square error. With little history it is shrunk to that of all hosts.

A scale from few errors is uncertain, and quantiles from it are too narrow. The quantiles are
therefore moved away from the median by t(p) / z(p), the ratio of Student's quantiles to normal
ones. The degrees of freedom come from the errors (``freedom``): many hours, and hosts with
independent errors, give many; a few hosts of one day with common errors give few.
"""

from __future__ import annotations

import dataclasses
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nova_cachemig.forecast.history import Floats, History, Ints

PRIOR_WINDOWS = 2.0
"""Weight of the pooled scale, in horizons of a host's own history."""

WARM = 3600.0
"""Origins with less history than this, in seconds, are left out of the errors."""

LEAST_FREEDOM = 2.0
"""Minimum degrees of freedom: with fewer, the quantiles would be useless."""


@dataclasses.dataclass(frozen=True, eq=False)
class Bands:
    """Quantiles around the forecasts at the last origin, each float[H, L], rising along L."""

    quantiles: Floats
    peak: Floats


def calibrate(
    history: History, origins: Ints, steps: int, points: Floats, levels: tuple[float, ...]
) -> Bands:
    """Return quantiles of the mean load and of the peak load after the last origin."""
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
    """Return each host's root mean square error, shrunk to the pool's, float[H, 1], above zero.

    ``errors`` is float[H, O] with NaN; ``overlap`` is the number of neighbouring origins that share
    a target. With ``left_out``, the result is float[H, O]: at each origin without the errors that
    share its target, because the next error is not in the scale either.
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
    """Return the degrees of freedom of the scale of these errors, float[H, O]; at least two.

    They follow from the variation of the mean square error between origins (Satterthwaite, 'An
    approximate distribution of estimates of variance components', Biometrics Bulletin 1946). All
    errors of one origin are one draw, because hosts can have common errors. ``overlap`` origins
    share a target and are one draw, too.
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
    """Return t(p) / z(p) for each level, float[L], to first order (Abramowitz, Stegun 26.7.5)."""
    z = np.array([NormalDist().inv_cdf(p) for p in levels])
    return np.asarray(1.0 + (z**2 + 1.0) / (4.0 * freedom))


def _overlap(origins: Ints, steps: int) -> float:
    stride = float(np.diff(origins).mean()) if len(origins) > 1 else 1.0
    return max(1.0, steps / stride)


def _warm(history: History, origins: Ints, errors: Floats) -> NDArray[np.bool_]:
    """The errors that count: those of warm origins, or all if no warm one is known."""
    known = np.isfinite(errors)
    warm = known & (origins + 1 >= history.samples(WARM))
    return warm if warm.any() else known


def _pooled(errors: Floats, levels: tuple[float, ...], wider: Floats) -> Floats:
    """Return quantiles of all errors, float[1, L], moved away from the median by ``wider``."""
    median, *quantiles = np.quantile(errors[np.isfinite(errors)], (0.5, *levels))
    return np.asarray(median + (np.array(quantiles) - median) * wider)[None, :]
