"""What a request would make of each host: its forecast and the instance's load on top.

An instance's load is what it was measured to be, in per cent of one CPU; without samples each of
its vCPUs is taken to use what the vCPUs of the hosts in question use on the average. The same
average tells what instances add that have come to a host since the forecasts last took it in, or
take away that have gone. (The host that an instance leaves is no candidate: Nova ignores it in a
migration.)
"""

from __future__ import annotations

import math
import operator
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from nova_cachemig.forecast.overload import exceedance
from nova_cachemig.model.snapshot import HostLoad, Snapshot

Entry = tuple[HostLoad, float] | None
"""A host's forecast and what comes on top of it; None: it is unknown."""

PER_CPU = "cpu"
"""The only metric for which it is known what an instance adds: per cent of the host's CPUs."""


class Settling:
    """vCPUs that came to (or left) each host lately, and that its forecast does not know yet.

    The vCPUs that the forecast knows of follow those that the host has, with ``settle_time``
    seconds as the time constant.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[
            str, tuple[float, float, float]
        ] = {}  # host → vCPUs known, vCPUs seen, when
        self._settled: tuple[Sequence[str], Sequence[float]] = ((), ())
        """Hosts and their vCPUs of the last request, if nothing was unknown of them."""

    def unknown(
        self, names: Sequence[str], vcpus_used: Sequence[float], settle_time: float
    ) -> list[float]:
        """vCPUs of each host that are not in its forecast; negative: that have gone."""
        if settle_time <= 0.0:
            return [0.0] * len(names)
        if self._settled == (names, vcpus_used):
            return [0.0] * len(names)
        now, known = self._clock(), self._known
        result = []
        for name, used in zip(names, vcpus_used, strict=True):
            entry = known.get(name)
            if entry is None:
                known[name] = (used, used, now)
                result.append(0.0)
                continue
            level, seen, at = entry
            if level == seen == used:  # nearly always
                result.append(0.0)
                continue
            if level != seen:
                level += (seen - level) * (1.0 - math.exp((at - now) / settle_time))
            known[name] = (level, used, now)
            result.append(used - level)
        self._settled = ((), ()) if any(result) else (names, vcpus_used)
        return result


class Outlook:
    """The outlook of a request, made once for all weighers that ask for it in its thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._settling = Settling(clock)
        self._local = threading.local()

    def of(
        self, snapshot: Snapshot, states: Sequence[Any], spec: Any, settle_time: float
    ) -> list[Entry]:
        """Of each host its forecast and what comes on top of it; None: the host is unknown.

        Nova may ask anew for the same request, for its next instance or for alternates; the hosts
        or the vCPUs used on them are others then.
        """
        used = [state.vcpus_used for state in states]
        key = (getattr(spec, "instance_uuid", None), settle_time, len(states), sum(used))
        last = getattr(self._local, "last", None)
        if (
            last is not None
            and last[0] is snapshot
            and last[1] is spec
            and last[2] == key
            and all(map(operator.is_, last[3], states))
        ):
            found: list[Entry] = last[4]
            return found
        names = [state.host for state in states]
        came = self._settling.unknown(names, used, settle_time)
        cpus = [state.vcpus_total for state in states]
        found = outlook(snapshot, spec, names, cpus, used, came)
        self._local.last = (snapshot, spec, key, states, found)
        return found


def outlook(
    snapshot: Snapshot,
    spec: Any,
    names: Sequence[str],
    cpus: Sequence[int],
    vcpus_used: Sequence[float],
    came: Sequence[float],
) -> list[Entry]:
    """Of each host its forecast and what comes on top of it; None: the host is unknown.

    All sequences are of the same hosts; ``came``: vCPUs that its forecast does not know of.
    """
    hosts = snapshot.hosts
    loads = [hosts.get(name) for name in names]
    if snapshot.metric != PER_CPU:
        return [None if load is None else (load, 0.0) for load in loads]
    measured = _measured(snapshot, spec)
    some = any(came)
    vcpu = _vcpu_load(loads, cpus, vcpus_used) if measured is None or some else 0.0
    instance = vcpu * _vcpus(spec) if measured is None else measured
    if not some:  # nearly always
        return [
            None if load is None else (load, instance / (number or 1))
            for load, number in zip(loads, cpus, strict=True)
        ]
    return [
        None if load is None else (load, (instance + more * vcpu) / (number or 1))
        for load, number, more in zip(loads, cpus, came, strict=True)
    ]


def overloads(snapshot: Snapshot, entries: Sequence[Entry], threshold: float) -> list[float | None]:
    """Of each host the probability that its peak passes ``threshold`` with what comes on top.

    As ``exceedance`` says; most hosts are far below the threshold, and their tail is worked out
    here, since a call for each host would take half of the time.
    """
    levels = snapshot.levels
    beyond = 1.0 - levels[-1] if len(levels) > 1 else 1.0
    ratio = beyond / (1.0 - levels[-2]) if len(levels) > 1 else 1.0
    found: list[float | None] = []
    for entry in entries:
        if entry is None:
            found.append(None)
            continue
        peak, over = entry[0].peak, threshold - entry[1]
        if len(peak) > 1 and over >= peak[-1] > peak[-2]:
            found.append(beyond * ratio ** ((over - peak[-1]) / (peak[-1] - peak[-2])))
        else:
            found.append(exceedance(levels, peak, over) if peak else 0.0)
    return found


def _vcpu_load(
    loads: Sequence[HostLoad | None], cpus: Sequence[int], vcpus_used: Sequence[float]
) -> float:
    """Per cent of one CPU that a vCPU uses on the average; none uses more than one."""
    used = busy = 0.0
    for load, number, vcpus in zip(loads, cpus, vcpus_used, strict=True):
        if load is not None and vcpus:
            busy += load.mean * number
            used += vcpus
    return min(busy / used, 100.0) if used else 0.0


def _measured(snapshot: Snapshot, spec: Any) -> float | None:
    """Per cent of one CPU that the instance of the request used; None where nobody knows."""
    return snapshot.instances.get(getattr(spec, "instance_uuid", None) or "")


def _vcpus(spec: Any) -> float:
    return float(getattr(getattr(spec, "flavor", None), "vcpus", 0) or 0)
