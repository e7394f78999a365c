"""The forecast for all hosts in the compact form that every scheduler holds.

It contains only the values that placement needs: each host's mean load over the horizon and the
quantiles of its peak, and each instance's mean load. On the wire, loads are integers in multiples
of ``unit``, stored by column. Instances are the 32 hex digits of their UUIDs. So 1,000 hosts and
10,000 instances take a few hundred kilobytes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nova_cachemig.model.load import clamped

WIRE_VERSION: Final = 1
"""The wire format's version. A reader refuses any other version."""

UNITS: Final = 10_000
"""The largest load of a snapshot in units: loads keep four digits."""


class SnapshotError(ValueError):
    """The received data is malformed or of another version: the sender's fault."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostLoad:
    """One host: the mean load over the horizon, and quantiles of the highest load within it."""

    mean: float
    peak: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Forecasts for ``horizon`` seconds after ``made_at`` (UNIX seconds).

    ``run`` identifies the forecaster's process, and ``sequence`` increases within a run. The loads
    of hosts are in the unit of ``metric`` (% of the host's CPUs), those of instances in % of one
    CPU. A host that is missing has no forecast.
    """

    run: str
    sequence: int
    made_at: float
    horizon: float
    metric: str
    method: str
    levels: tuple[float, ...]
    hosts: Mapping[str, HostLoad]
    instances: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def empty(cls) -> Snapshot:
        """Return a snapshot without hosts and instances."""
        return cls("", 0, 0.0, 0.0, "", "", (), {})

    def to_wire(self) -> dict[str, Any]:
        """Return primitives only."""
        highest = max((load.peak[-1] for load in self.hosts.values() if load.peak), default=0.0)
        highest = max(highest, max((load.mean for load in self.hosts.values()), default=0.0))
        unit = max(highest, 1.0) / UNITS
        rows = list(self.hosts.values())
        return {
            "version": WIRE_VERSION,
            "run": self.run,
            "sequence": self.sequence,
            "made_at": self.made_at,
            "horizon": self.horizon,
            "metric": self.metric,
            "method": self.method,
            "levels": list(self.levels),
            "unit": unit,
            "names": list(self.hosts),
            "mean": [round(load.mean / unit) for load in rows],
            "peak": [
                [round(load.peak[i] / unit) for load in rows] for i in range(len(self.levels))
            ],
            "instances": {
                name.replace("-", ""): round(load, 1) for name, load in self.instances.items()
            },
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Snapshot:
        """Parse a snapshot completely. Raises SnapshotError for another version or damaged data."""
        version = wire.get("version") if isinstance(wire, Mapping) else type(wire).__name__
        if version != WIRE_VERSION:
            raise SnapshotError(
                f"snapshot of version {version!r}; this reader knows {WIRE_VERSION}"
            )
        try:
            return cls(
                run=str(wire["run"]),
                sequence=int(_load(wire["sequence"])),
                made_at=_load(wire["made_at"]),
                horizon=_load(wire["horizon"]),
                metric=str(wire["metric"]),
                method=str(wire["method"]),
                levels=_levels(wire["levels"]),
                hosts=_hosts(wire, len(wire["levels"])),
                instances={_uuid(name): _load(x) for name, x in wire["instances"].items()},
            )
        except SnapshotError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as exc:
            raise SnapshotError(f"not a snapshot: {exc!r}") from exc


def _hosts(wire: Mapping[str, Any], levels: int) -> dict[str, HostLoad]:
    unit = _load(wire["unit"])
    names, means, peaks = wire["names"], wire["mean"], wire["peak"]
    if len(peaks) != levels:
        raise SnapshotError(f"{len(peaks)} quantiles for {levels} levels")
    columns = zip(*peaks, strict=True) if levels else ([()] * len(names))
    hosts = {}
    for name, mean, peak in zip(names, means, columns, strict=True):
        loads = [_load(_load(x) * unit) for x in (mean, *peak)]
        hosts[str(name)] = HostLoad(loads[0], _rising(loads[1:]))
    return hosts


def _levels(values: Sequence[Any]) -> tuple[float, ...]:
    levels = tuple(_load(x) for x in values)
    if list(levels) != sorted(set(levels)) or (levels and not 0 < levels[0] <= levels[-1] < 1):
        raise SnapshotError(f"levels must increase between 0 and 1: {levels!r:.100}")
    return levels


def _rising(values: list[float]) -> tuple[float, ...]:
    if values != sorted(values):
        raise SnapshotError("quantiles decrease")
    return tuple(values)


def _load(value: Any) -> float:
    """Return a load, a time or a level: finite, and at least 0 except for rounding errors."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SnapshotError(f"not a number: {value!r:.50}")
    number = clamped(float(value))
    if not math.isfinite(number) or number < 0:
        raise SnapshotError(f"not a finite, non-negative number: {value!r}")
    return number


def _uuid(name: str) -> str:
    """Return a UUID with its dashes; other names are unchanged."""
    if len(name) != 32:
        return str(name)
    return "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))
