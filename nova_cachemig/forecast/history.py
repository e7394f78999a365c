"""A cleaned history of load, with window means in constant time per window.

``History.values`` is float64[H, T]. Values that are not loads are gaps: NaN, infinite, negative by
more than rounding, or above ``CEILING``. Sums and counts over a window come from running sums, so
that a mean over any window costs the same.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from nova_cachemig.model.load import CEILING, ROUNDING

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """Loads of H hosts at T regular instants, ``step`` seconds apart; gaps are NaN."""

    values: Floats
    step: float

    @classmethod
    def of(cls, values: Floats, step: float) -> History:
        raw = np.asarray(values, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            good = (raw >= -ROUNDING) & (raw <= CEILING)
            return cls(np.where(good, np.maximum(raw, 0.0), np.nan), step)

    @property
    def hosts(self) -> int:
        return int(self.values.shape[0])

    @property
    def length(self) -> int:
        return int(self.values.shape[1])

    def samples(self, seconds: float) -> int:
        """Return the number of samples in this time; at least one."""
        return max(1, round(min(seconds / self.step, 1e9)))

    @functools.cached_property
    def seen(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.values)

    @functools.cached_property
    def shift(self) -> Floats:
        """Each host's mean, float[H, 1], which running sums subtract to lose no digits."""
        count = self.seen.sum(axis=1)
        total = np.where(self.seen, self.values, 0.0).sum(axis=1)
        return np.asarray((total / np.maximum(count, 1))[:, None])

    @functools.cached_property
    def sums(self) -> Floats:
        """float[H, T + 1]: sum of the first t samples, each less its host's ``shift``."""
        centred = np.where(self.seen, self.values - self.shift, 0.0)
        return np.concatenate([np.zeros((self.hosts, 1)), centred.cumsum(axis=1)], axis=1)

    @functools.cached_property
    def counts(self) -> Floats:
        """float[H, T + 1]: how many of the first t columns are no gap."""
        ones = self.seen.astype(np.float64)
        return np.concatenate([np.zeros((self.hosts, 1)), ones.cumsum(axis=1)], axis=1)

    @functools.cached_property
    def filled(self) -> Floats:
        """The values, with gaps filled from the sample before; NaN before the first sample."""
        if not self.length:
            return self.values
        where = np.where(self.seen, np.arange(self.length), 0)
        last = np.maximum.accumulate(where, axis=1)
        return np.take_along_axis(self.values, last, axis=1)

    def between(self, begin: Ints, end: Ints) -> tuple[Floats, Floats]:
        """Return sum (less ``shift``) and count of columns begin..end-1, broadcast over [H, O].

        ``begin`` and ``end`` are int[O] or int[H, O]; they are limited to the history.
        """
        shape = (self.hosts, np.shape(end)[-1])
        first = np.broadcast_to(np.clip(begin, 0, self.length), shape)
        last = np.broadcast_to(np.clip(end, 0, self.length), shape)
        sums = np.take_along_axis(self.sums, last, 1) - np.take_along_axis(self.sums, first, 1)
        counts = np.take_along_axis(self.counts, last, 1) - np.take_along_axis(
            self.counts, first, 1
        )
        return sums, counts

    def mean(self, begin: Ints, end: Ints) -> Floats:
        """Return the mean of columns begin..end-1, float[H, O]; NaN without a sample."""
        sums, counts = self.between(begin, end)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(sums / counts + self.shift)

    def trailing(self, origins: Ints, width: int) -> Floats:
        """Return the mean of the last ``width`` samples up to each origin, float[H, O].

        If all of them are gaps, the last sample before; NaN before the first sample.
        """
        means = self.mean(origins + 1 - width, origins + 1)
        return np.where(np.isnan(means), self.filled[:, origins], means)

    def ahead(self, origins: Ints, steps: int) -> Floats:
        """Return the outcome: the mean of the ``steps`` samples after each origin, float[H, O].

        NaN if the history ends earlier or if more than half of the samples are gaps.
        """
        sums, counts = self.between(origins + 1, origins + 1 + steps)
        known = (counts * 2 >= steps) & (origins + steps < self.length)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(known, sums / counts + self.shift, np.nan)

    def ahead_peak(self, origins: Ints, steps: int) -> Floats:
        """Return the highest of the ``steps`` samples after each origin; NaN as in ``ahead``."""
        peaks = np.full((self.hosts, len(origins)), np.nan)
        padded = np.where(self.seen, self.values, -np.inf)
        for i, origin in enumerate(origins):
            if origin + steps < self.length:
                window = padded[:, origin + 1 : origin + 1 + steps]
                peaks[:, i] = window.max(axis=1, initial=-np.inf)
        return np.where(np.isnan(self.ahead(origins, steps)), np.nan, peaks)
