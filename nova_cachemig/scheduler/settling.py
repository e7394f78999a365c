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
        self._found: tuple[Sequence[str], Ints] = ((), np.zeros(0, dtype=np.int64))
        """The hosts of the last request, and their rows."""

    def unknown(self, names: Sequence[str], vcpus_used: Floats, settle_time: float) -> Floats:
        """vCPUs of each host that are not in its forecast, float[N]; negative: that have gone.

        A list of names that is the one of the last time is not looked up again.
        """
        if settle_time <= 0.0:
            return np.zeros(len(names))
        with self._lock:  # requests come in several threads
            if self._found[0] is not names:
                self._found = names, self._find(names)
            return self._follow(self._found[1], vcpus_used, settle_time)

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
