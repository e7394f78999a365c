"""What a request would make of each host: its forecast and the instance's load on top.

An instance's load is what it was measured to be, in per cent of one CPU; without samples each of
its vCPUs is taken to use what the vCPUs of the hosts in question use on the average. The same
average tells what instances add that have come to a host since the forecasts last took it in, or
take away that have gone. (The host that an instance leaves is no candidate: Nova ignores it in a
migration.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from nova_cachemig.model.snapshot import HostLoad, Snapshot

PER_CPU = "cpu"
"""The only metric for which it is known what an instance adds: per cent of the host's CPUs."""


class Settling:
    """vCPUs that came to (or left) each host lately, and that its forecast does not know yet.

    The vCPUs that the forecast knows of follow those that the host has, with ``settle_time``
    seconds as the time constant.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, list[float]] = {}  # host → vCPUs known, vCPUs seen, when

    def unknown(self, states: Sequence[Any], settle_time: float) -> list[float]:
        """vCPUs of each host that are not in its forecast; negative: that have gone."""
        if settle_time <= 0.0:
            return [0.0] * len(states)
        now, known = self._clock(), self._known
        result = []
        for state in states:
            used = float(state.vcpus_used)
            entry = known.get(state.host)
            if entry is None:
                known[state.host] = [used, used, now]
                result.append(0.0)
                continue
            level, seen, at = entry
            if level != seen:
                level += (seen - level) * (1.0 - math.exp((at - now) / settle_time))
            entry[0], entry[1], entry[2] = level, used, now
            result.append(used - level)
        return result


def outlook(
    snapshot: Snapshot, states: Sequence[Any], spec: Any, came: Sequence[float]
) -> list[tuple[HostLoad, float] | None]:
    """Of each host its forecast and what comes on top of it; None: the host is unknown."""
    hosts = snapshot.hosts
    loads = [hosts.get(state.host) for state in states]
    if snapshot.metric != PER_CPU:
        return [None if load is None else (load, 0.0) for load in loads]
    vcpu = _vcpu_load(loads, states)
    instance = _instance_load(snapshot, spec, vcpu)
    result: list[tuple[HostLoad, float] | None] = []
    for load, state, more in zip(loads, states, came, strict=True):
        if load is None:
            result.append(None)
        else:
            added = instance + more * vcpu if more else instance
            result.append((load, added / (state.vcpus_total or 1)))
    return result


def _vcpu_load(loads: Sequence[HostLoad | None], states: Sequence[Any]) -> float:
    """Per cent of one CPU that a vCPU uses on the average; none uses more than one."""
    used = cpus = 0.0
    for load, state in zip(loads, states, strict=True):
        if load is not None and state.vcpus_used:
            cpus += load.mean * state.vcpus_total
            used += state.vcpus_used
    return min(cpus / used, 100.0) if used else 0.0


def _instance_load(snapshot: Snapshot, spec: Any, vcpu: float) -> float:
    """Per cent of one CPU that the instance of the request will use."""
    if spec is None:
        return 0.0
    measured = snapshot.instances.get(getattr(spec, "instance_uuid", None) or "")
    if measured is not None:
        return measured
    return vcpu * float(getattr(getattr(spec, "flavor", None), "vcpus", 0) or 0)
