"""The load of each candidate host with the instance of the request on it.

The load of a measured instance is its measurement, in per cent of one CPU. Without one, each of its
vCPUs counts as the average vCPU of the candidates. The same average gives the load of instances
that have arrived on a host, or left it, since the forecasts last saw the host. (The source of a
migration is no candidate: Nova excludes it.)
"""

from __future__ import annotations

import dataclasses
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints
from nova_cachemig.scheduler.columns import Columns
from nova_cachemig.scheduler.pending import PendingPlacements

PER_CPU = "cpu"
"""The only metric to which instances add a known load: per cent of the host's CPUs."""

MAX_REQUESTS: Final = 64
"""Maximum number of requests whose estimates are kept."""


class HostEstimates:
    """Estimates for the hosts of a request, in the request's order; NaN for unknown hosts."""

    __slots__ = ("_chance", "_columns", "_rows", "added", "load")

    def __init__(self, columns: Columns, rows: Ints, added: Floats) -> None:
        self._columns, self._rows = columns, rows
        self._chance: tuple[float, Floats] | None = None
        self.added = added
        """Load in addition to each forecast, float[N]."""
        self.load = columns.mean[rows] + added
        """Mean load over the horizon, float[N]."""

    def overload(self, threshold: float) -> Floats:
        """Return the probability that each host's peak exceeds ``threshold``, float[N]."""
        if self._chance is None or self._chance[0] != threshold:
            found = self._columns.peak.exceedance(self._rows, threshold - self.added)
            self._chance = threshold, found
        return self._chance[1]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The hosts of a request, in Nova's order, with their rows in ``columns``."""

    columns: Columns
    names: list[str]
    vcpus: list[int]
    rows: Ints
    cpus: Floats

    @classmethod
    def of(cls, columns: Columns, names: list[str], vcpus: list[int]) -> Candidates:
        cpus = np.array(vcpus, dtype=np.float64)
        return cls(columns, names, vcpus, columns.rows(names), cpus)


class Estimator:
    """Computes the estimates of a request once, for all weighers and the filter."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pending = PendingPlacements(clock)
        self._candidates: Candidates | None = None
        self._made: weakref.WeakKeyDictionary[Any, tuple[Any, ...]] = weakref.WeakKeyDictionary()
        """For each request that Nova still holds: the inputs of its estimates, and the estimates.

        The keys are weak, because the inputs hold Nova's large host states.
        """

    def of(
        self, columns: Columns, states: Sequence[Any], spec: Any, pending_time: float
    ) -> HostEstimates:
        """Return the estimates for these hosts.

        Nova can weigh again for the same request, for its next instance or for alternates. The
        hosts or their used vCPUs have changed then, and the estimates are computed again.
        """
        used = [state.vcpus_used for state in states]
        instance = getattr(spec, "instance_uuid", None)
        last = self._made.get(spec) if spec is not None else None
        if (
            last is not None
            and last[0] is columns
            and last[1:5]
            == (
                pending_time,
                instance,
                used,
                states,  # nearly always the same objects: a fast comparison
            )
        ):
            found: HostEstimates = last[5]
            return found
        candidates = self._of_hosts(columns, states)
        vcpus_used = np.array(used, dtype=np.float64)
        pending = self._pending.vcpus(candidates.names, vcpus_used, pending_time)
        found = estimate(candidates, spec, vcpus_used, pending)
        if spec is not None:
            if len(self._made) >= MAX_REQUESTS:  # some caller keeps its requests
                self._made.clear()
            self._made[spec] = (columns, pending_time, instance, used, states, found)
        return found

    def _of_hosts(self, columns: Columns, states: Sequence[Any]) -> Candidates:
        """Reuse the candidates of the last request if the hosts are the same, as most often."""
        names = [state.host for state in states]
        vcpus = [state.vcpus_total for state in states]
        last = self._candidates
        if (
            last is None
            or last.columns is not columns
            or last.names != names
            or last.vcpus != vcpus
        ):
            last = self._candidates = Candidates.of(columns, names, vcpus)
        return last


def estimate(candidates: Candidates, spec: Any, used: Floats, pending: Floats) -> HostEstimates:
    """Return the estimates for these hosts.

    ``used`` and ``pending`` are float[N]: the vCPUs in use on each host, and those of them that its
    forecast does not know yet (negative: vCPUs that have left).
    """
    columns, rows = candidates.columns, candidates.rows
    if columns.metric != PER_CPU:
        return HostEstimates(columns, rows, np.zeros(len(rows)))
    measured = columns.instances.get(getattr(spec, "instance_uuid", None) or "")
    some = pending.any()
    vcpu = _vcpu_load(columns.mean[rows], candidates, used) if measured is None or some else 0.0
    instance = vcpu * _vcpus(spec) if measured is None else measured
    more = instance + pending * vcpu if some else instance
    return HostEstimates(columns, rows, more / np.maximum(candidates.cpus, 1.0))


def _vcpu_load(mean: Floats, candidates: Candidates, used: Floats) -> float:
    """Return the average load of a vCPU in per cent of one CPU, at most 100."""
    counts = ~np.isnan(mean) & (used != 0)
    busy, vcpus = float((mean * candidates.cpus)[counts].sum()), float(used[counts].sum())
    return min(busy / vcpus, 100.0) if vcpus else 0.0


def _vcpus(spec: Any) -> float:
    return float(getattr(getattr(spec, "flavor", None), "vcpus", 0) or 0)
