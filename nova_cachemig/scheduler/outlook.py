"""What a request would make of each host: its forecast and the instance's load on top.

An instance's load is what it was measured to be, in per cent of one CPU; without samples each of
its vCPUs is taken to use what the vCPUs of the hosts in question use on the average. The same
average tells what instances add that have come to a host since the forecasts last took it in, or
take away that have gone. (The host that an instance leaves is no candidate: Nova ignores it in a
migration.)
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
from nova_cachemig.scheduler.settling import Settling

PER_CPU = "cpu"
"""The only metric for which it is known what an instance adds: per cent of the host's CPUs."""

MOST_REQUESTS: Final = 64
"""Of so many at once an outlook is remembered."""


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


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Place:
    """The hosts of a request, in the order in which Nova gives them, as ``columns`` know them."""

    columns: Columns
    names: list[str]
    vcpus: list[int]
    rows: Ints
    cpus: Floats

    @classmethod
    def of(cls, columns: Columns, names: list[str], vcpus: list[int]) -> Place:
        cpus = np.array(vcpus, dtype=np.float64)
        return cls(columns, names, vcpus, columns.rows(names), cpus)


class Outlook:
    """The outlook of a request, made once for all weighers and the filter that ask for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._settling = Settling(clock)
        self._place: Place | None = None
        self._made: weakref.WeakKeyDictionary[Any, tuple[Any, ...]] = weakref.WeakKeyDictionary()
        """By request, as long as Nova works on it: of what its outlook was made, and the outlook.

        Its host states are held so long, since they are large.
        """

    def of(
        self, columns: Columns, states: Sequence[Any], spec: Any, settle_time: float
    ) -> Expected:
        """What is expected of each host.

        Nova may ask anew for the same request, for its next instance or for alternates; the hosts
        or the vCPUs used on them are others then.
        """
        used = [state.vcpus_used for state in states]
        instance = getattr(spec, "instance_uuid", None)
        last = self._made.get(spec) if spec is not None else None
        if (
            last is not None
            and last[0] is columns
            and last[1:5]
            == (
                settle_time,
                instance,
                used,
                states,  # one by one they are the same objects, nearly always
            )
        ):
            found: Expected = last[5]
            return found
        place = self._of_hosts(columns, states)
        vcpus_used = np.array(used, dtype=np.float64)
        came = self._settling.unknown(place.names, vcpus_used, settle_time)
        found = expected(place, spec, vcpus_used, came)
        if spec is not None:
            if len(self._made) >= MOST_REQUESTS:  # somebody keeps requests
                self._made.clear()
            self._made[spec] = (columns, settle_time, instance, used, states, found)
        return found

    def _of_hosts(self, columns: Columns, states: Sequence[Any]) -> Place:
        """Most requests are for the same hosts as the one before."""
        names = [state.host for state in states]
        vcpus = [state.vcpus_total for state in states]
        last = self._place
        if (
            last is None
            or last.columns is not columns
            or last.names != names
            or last.vcpus != vcpus
        ):
            last = self._place = Place.of(columns, names, vcpus)
        return last


def expected(place: Place, spec: Any, used: Floats, came: Floats) -> Expected:
    """What is expected of each of these hosts, of whose vCPUs so many are ``used``.

    ``came``: vCPUs that its forecast does not know of.
    """
    columns, rows = place.columns, place.rows
    if columns.metric != PER_CPU:
        return Expected(columns, rows, np.zeros(len(rows)))
    measured = columns.instances.get(getattr(spec, "instance_uuid", None) or "")
    some = came.any()
    vcpu = _vcpu_load(columns.mean[rows], place, used) if measured is None or some else 0.0
    instance = vcpu * _vcpus(spec) if measured is None else measured
    more = instance + came * vcpu if some else instance
    return Expected(columns, rows, more / np.maximum(place.cpus, 1.0))


def _vcpu_load(mean: Floats, place: Place, used: Floats) -> float:
    """Per cent of one CPU that a vCPU uses on the average; none uses more than one."""
    counts = ~np.isnan(mean) & (used != 0)
    busy, vcpus = float((mean * place.cpus)[counts].sum()), float(used[counts].sum())
    return min(busy / vcpus, 100.0) if vcpus else 0.0


def _vcpus(spec: Any) -> float:
    return float(getattr(getattr(spec, "flavor", None), "vcpus", 0) or 0)
