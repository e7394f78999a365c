"""The features of the pooled regression: one row for each host and origin.

Each feature is a difference to the ``base``, the mean of the last hour. The regression therefore
predicts the change to come, and no feature depends on the unit beyond its scale. An unknown feature
is zero, which has no effect. ``NAMES`` lists the features.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from nova_cachemig.forecast import season
from nova_cachemig.forecast.history import Floats, History, Ints
from nova_cachemig.forecast.simple import EWMA_STEP, SLOW_ALPHA, ewma

BASE = 3600.0
DAY = 86400.0
WINDOWS = (600.0, 1800.0, 7200.0, 21600.0, 86400.0)

NAMES = (
    "last",
    "last, where above",
    "least of 1h",
    *(f"mean {seconds / 3600:g}h" for seconds in WINDOWS),
    "mean of all",
    "slow ewma",
    "cloud mean",
    "cloud change",
    "day ahead",
    "day behind",
    "season ahead",
    "season behind",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """``x`` is float[H, O, F], all finite; ``base`` float[H, O], NaN where nothing is known.

    ``scale`` is float[H, O], above zero: the expected size of an error, which weights the rows. It
    grows with the square root of the host's level, like the noise of many small loads.
    """

    x: Floats
    base: Floats
    scale: Floats
    seasonal: Floats
    """The season's own forecast, float[H, O]; the base where there is no season."""


def rows(history: History, origins: Ints, steps: int) -> Rows:
    """Return the features at each origin, for a forecast of the next ``steps`` samples."""
    base = history.trailing(origins, history.samples(BASE))
    whole = history.trailing(origins, history.length)
    keep = float((1 - SLOW_ALPHA) ** (history.step / EWMA_STEP))
    known = np.isfinite(base)
    count = np.maximum(known.sum(axis=0), 1)
    cloud = np.where(known, whole, 0.0).sum(axis=0) / count
    change = np.where(known, base - whole, 0.0).sum(axis=0) / count
    last = history.filled[:, origins]
    columns = [last - base, np.maximum(last - base, 0), _least(history, origins) - base]
    columns += [history.trailing(origins, history.samples(w)) - base for w in WINDOWS]
    columns += [whole - base, ewma(history, keep)[:, origins] - base, cloud - base]
    columns += [np.broadcast_to(change, base.shape)]
    days, _ = _season(history, origins, steps, base, None)
    found, seasonal = _season(history, origins, steps, base, season.rolling(history, origins))
    x = np.stack([*columns, *days, *found], axis=2)
    scale = np.sqrt(np.maximum(whole, 0) + 0.1 * cloud) + 1e-9
    return Rows(np.nan_to_num(x), base, np.where(known, scale, 1.0), seasonal)


def _least(history: History, origins: Ints) -> Floats:
    """The least sample of the last hour, float[H, O]; it identifies a lull between bursts."""
    low = history.filled[:, origins]
    for back in range(1, history.samples(BASE)):
        low = np.fmin(low, history.filled[:, np.maximum(origins - back, 0)])
    return low


def _season(
    history: History,
    origins: Ints,
    steps: int,
    base: Floats,
    periods: tuple[Ints, Floats] | None,
) -> tuple[tuple[Floats, Floats], Floats]:
    """Return two features of a season and its own forecast. Without periods, the season is a day.

    The swing of a season is shrunk by the autocorrelation at its period.
    """
    if periods is None:
        lags, strength = np.full(base.shape, history.samples(DAY)), np.ones(base.shape)
    else:
        lags, strength = periods
    ahead = season.profile(history, origins, lags, 1, steps + 1, steps)
    behind = season.profile(history, origins, lags, 1 - history.samples(BASE), 1, steps)
    there = np.isfinite(ahead) & np.isfinite(behind)
    features = tuple(np.where(there, (s - base) * strength, 0.0) for s in (ahead, behind))
    own = np.where(there, base + (ahead - base) * np.clip(strength, 0, 1), base)
    return (features[0], features[1]), own
