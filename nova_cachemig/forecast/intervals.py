"""Quantiles from a forecaster's own past errors.

Split conformal prediction with a scale for each host (Lei et al., 'Distribution-free predictive
inference for regression', JASA 2018, section 5.2), on rolling out-of-sample residuals: the
residual of host h at a past origin, divided by the scale of h, is one draw of the pooled error;
its empirical quantiles times the scale of h lie around the point forecast. The scale is the
host's root mean square residual, shrunk to that of all hosts where the host has little history.
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
    scale = host_scale(errors, _overlap(origins, steps))
    now = points[:, -1:]
    if not np.isfinite(errors).any():
        quantiles = now * np.array([[1 + NormalDist().inv_cdf(p) / 2 for p in levels]])
        peak = quantiles
    else:
        quantiles = now + scale[:, None] * _pooled(errors / scale[:, None], levels)
        peak = now + scale[:, None] * _pooled(highs / scale[:, None], levels)
    quantiles = np.maximum(quantiles, 0.0)
    return Bands(quantiles, np.maximum(peak, quantiles))


def host_scale(errors: Floats, overlap: float) -> Floats:
    """Root mean square error of each host, shrunk to the pool's, float[H], above zero.

    ``errors`` is float[H, O] with NaN; ``overlap`` is how many neighbouring origins share a target.
    """
    known = np.isfinite(errors)
    squares = np.where(known, errors, 0.0) ** 2
    own = known.sum(axis=1) / overlap
    total = squares.sum(axis=1) / overlap
    pool = total.sum() / max(own.sum(), 1e-12)
    shrunk = (total + PRIOR_WINDOWS * pool) / (own + PRIOR_WINDOWS)
    return np.asarray(np.sqrt(np.maximum(shrunk, 1e-4 * pool)) + 1e-12)


def _overlap(origins: Ints, steps: int) -> float:
    stride = float(np.diff(origins).mean()) if len(origins) > 1 else 1.0
    return max(1.0, steps / stride)


def _warm(history: History, origins: Ints, errors: Floats) -> NDArray[np.bool_]:
    """Which errors count: those of warm origins, or all where no warm one is known."""
    known = np.isfinite(errors)
    warm = known & (origins + 1 >= history.samples(WARM))
    return warm if warm.any() else known


def _pooled(errors: Floats, levels: tuple[float, ...]) -> Floats:
    return np.asarray(np.quantile(errors[np.isfinite(errors)], levels))[None, :]
