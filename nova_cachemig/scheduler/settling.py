"""vCPUs that came to hosts, or left them, and that no forecast knows of yet."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints


class Settling:
    """The vCPUs that the forecast knows of follow those that the host has, with ``settle_time``
    seconds as the time constant.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._state = np.full((3, 0), np.nan)
        """Of each row: vCPUs known, vCPUs seen, when; NaN before the host was seen."""
        self._settled: tuple[Sequence[str], Sequence[float]] = ((), ())
        """Hosts and their vCPUs of the last request, if nothing was unknown of them."""

    def unknown(
        self, names: Sequence[str], vcpus_used: Sequence[float], settle_time: float
    ) -> Floats:
        """vCPUs of each host that are not in its forecast, float[N]; negative: that have gone."""
        if settle_time <= 0.0 or self._settled == (names, vcpus_used):
            return np.zeros(len(names))
        used = np.array(vcpus_used, dtype=np.float64)
        with self._lock:  # requests come in several threads
            found = self._follow(self._find(names), used, settle_time)
            self._settled = ((), ()) if found.any() else (names, vcpus_used)
        return found

    def _follow(self, rows: Ints, used: Floats, settle_time: float) -> Floats:
        now = self._clock()
        level, seen, at = self._state[:, rows]
        level += (seen - level) * -np.expm1((at - now) / settle_time)
        level = np.where(np.isnan(level), used, level)
        self._state[:, rows] = level, used, np.full(len(rows), now)
        return np.asarray(used - level)

    def _find(self, names: Sequence[str]) -> Ints:
        """The rows of these hosts; new ones get one."""
        rows = np.fromiter(
            map(self._rows.get, names, itertools.repeat(-1)),
            np.int64,
            len(names),
        )
        for i in np.flatnonzero(rows < 0).tolist():
            rows[i] = self._rows.setdefault(names[i], len(self._rows))
        if (more := len(self._rows) - self._state.shape[1]) > 0:
            self._state = np.concatenate([self._state, np.full((3, more), np.nan)], axis=1)
        return rows
