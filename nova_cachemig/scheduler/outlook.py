"""What a request would make of each host: its forecast and the instance's load on top.

An instance's load is what it was measured to be, in per cent of one CPU; without samples each of
its vCPUs is taken to use what the vCPUs of the hosts in question use on the average. The same
average tells what instances add that have come to a host since the forecasts last took it in, or
take away that have gone. (The host that an instance leaves is no candidate: Nova ignores it in a
migration.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints
from nova_cachemig.scheduler.columns import Columns
from nova_cachemig.scheduler.settling import Settling

PER_CPU = "cpu"
"""The only metric for which it is known what an instance adds: per cent of the host's CPUs."""


class Expected:
    """What is expected of the hosts of a request, in their order; NaN of those that are unknown."""

    __slots__ = ("_chance", "_columns", "_rows", "added", "load")

    def __init__(self, columns: Columns, rows: Ints, added: Floats) -> None:
        self._columns, self._rows = columns, rows
        self._chance: tuple[float, Floats] | None = None
        self.added = added
        """Load that comes on top of each forecast, float[N]."""
        self.load = columns.mean[rows] + added
        """Mean over the horizon, float[N]."""

    def overload(self, threshold: float) -> Floats:
        """The probability that a host's peak passes ``threshold``, float[N]."""
        if self._chance is None or self._chance[0] != threshold:
            found = self._columns.peak.exceedance(self._rows, threshold - self.added)
            self._chance = threshold, found
        return self._chance[1]


class Outlook:
    """The outlook of a request, made once for all weighers that ask for it in its thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._settling = Settling(clock)
        self._local = threading.local()

    def of(
        self, columns: Columns, states: Sequence[Any], spec: Any, settle_time: float
    ) -> Expected:
        """What is expected of each host.

        Nova may ask anew for the same request, for its next instance or for alternates; the hosts
        or the vCPUs used on them are others then. What is kept of a request is no host state:
        they are large.
        """
        key = (
            settle_time,
            getattr(spec, "instance_uuid", None),
            [state.vcpus_used for state in states],
            [state.host for state in states],
        )
        last = getattr(self._local, "last", None)
        if last is not None and last[0] is columns and last[1] is spec and last[2] == key:
            found: Expected = last[3]
            return found
        used, names = key[2:]
        came = self._settling.unknown(names, used, settle_time)
        cpus = np.array([state.vcpus_total for state in states], dtype=np.float64)
        found = expected(columns, spec, names, cpus, np.array(used, dtype=np.float64), came)
        self._local.last = (columns, spec, key, found)
        return found


def expected(
    columns: Columns, spec: Any, names: Sequence[str], cpus: Floats, used: Floats, came: Floats
) -> Expected:
    """What is expected of each of these hosts, with so many ``cpus`` and vCPUs ``used``.

    ``came``: vCPUs that its forecast does not know of.
    """
    rows = columns.rows(names)
    if columns.metric != PER_CPU:
        return Expected(columns, rows, np.zeros(len(rows)))
    measured = columns.instances.get(getattr(spec, "instance_uuid", None) or "")
    some = came.any()
    vcpu = _vcpu_load(columns.mean[rows], cpus, used) if measured is None or some else 0.0
    instance = vcpu * _vcpus(spec) if measured is None else measured
    more = instance + came * vcpu if some else instance
    return Expected(columns, rows, more / np.maximum(cpus, 1.0))


def _vcpu_load(mean: Floats, cpus: Floats, used: Floats) -> float:
    """Per cent of one CPU that a vCPU uses on the average; none uses more than one."""
    counts = ~np.isnan(mean) & (used != 0)
    busy, vcpus = float((mean * cpus)[counts].sum()), float(used[counts].sum())
    return min(busy / vcpus, 100.0) if vcpus else 0.0


def _vcpus(spec: Any) -> float:
    return float(getattr(getattr(spec, "flavor", None), "vcpus", 0) or 0)
