"""vCPUs of recent placements, which the forecasts do not know yet."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints


class PendingPlacements:
    """Tracks how many of each host's vCPUs its forecast does not know yet.

    The number of vCPUs that a forecast knows approaches the number in use exponentially, with the
    time constant ``pending_time``. Their difference is pending.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rows: dict[str, int] = {}
        self._state = np.full((3, 0), np.nan)
        """Per row: vCPUs known to the forecast, vCPUs last seen, when; NaN for a new host."""
        self._last: tuple[Sequence[str], Ints] = ((), np.zeros(0, dtype=np.int64))
        """The hosts of the last request, and their rows."""

    def vcpus(self, names: Sequence[str], vcpus_used: Floats, pending_time: float) -> Floats:
        """Return the pending vCPUs of each host, float[N]; negative for vCPUs that have left.

        The rows of the same list object are looked up once only.
        """
        if pending_time <= 0.0:
            return np.zeros(len(names))
        with self._lock:  # several threads handle requests
            if self._last[0] is not names:
                self._last = names, self._rows_of(names)
            return self._follow(self._last[1], vcpus_used, pending_time)

    def _follow(self, rows: Ints, used: Floats, pending_time: float) -> Floats:
        now = self._clock()
        level, seen, at = self._state[:, rows]
        level += (seen - level) * -np.expm1((at - now) / pending_time)
        level = np.where(np.isnan(level), used, level)
        self._state[:, rows] = level, used, np.full(len(rows), now)
        return np.asarray(used - level)

    def _rows_of(self, names: Sequence[str]) -> Ints:
        """Return the rows of these hosts; add rows for new hosts."""
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
