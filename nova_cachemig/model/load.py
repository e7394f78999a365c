"""The load of hosts and instances, measured and forecast.

Telemetry, the forecasters and the scheduler exchange three immutable values:

* ``Sample``: one measurement;
* ``LoadMatrix``: the samples of many hosts on one regular time grid, with gaps;
* ``Forecast``: the mean and the quantiles of each host's load over a horizon.

A load has the unit of its source (% of a host's CPU, bytes per second, …) and is never negative;
``ROUNDING`` bounds the negative numbers that count as zero. Times are UNIX seconds. The wire format
has primitives only: no NaN, no tuples, no arrays. This module imports numpy only where it builds a
matrix, so that a process that only forwards these values does not load it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIRE_VERSION: Final = 1
"""The wire format's version. A reader refuses any other version."""


ROUNDING: Final = 1e-6
"""A number at most this far below zero is a load of zero, in any unit.

Arithmetic on floating-point numbers leaves such remainders: 100 * (1 - rate) of an idle host is
-2.2e-14 where its rate comes out as 1.0000000000000002. A number further below zero is not a load.
"""

CEILING: Final = 1e15
"""A number above this is not a load, in any unit (and its square would not be exact)."""


def clamped(value: float) -> float:
    """Return 0 for a number below zero by no more than ``ROUNDING``, else ``value`` itself."""
    return 0.0 if -ROUNDING <= value < 0 else value


class WireError(ValueError):
    """The received data is malformed or of another version: the sender's fault."""


def _check(wire: Mapping[str, Any], what: str) -> None:
    if not isinstance(wire, Mapping) or wire.get("version") != WIRE_VERSION:
        version = wire.get("version") if isinstance(wire, Mapping) else type(wire).__name__
        raise WireError(f"{what} of version {version!r}; this reader knows {WIRE_VERSION}")


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise WireError(f"{what} is not a finite number: {value!r}")
    return float(value)


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One measurement, of a host or of one instance on it.

    ``metric`` is the name of the quantity (``cpu``, ``memory``, ``disk.read``, …). ``at`` is the
    time of the measurement at its source, not of its arrival.
    """

    host: str
    metric: str
    at: float
    value: float
    instance: str | None = None

    @classmethod
    def empty(cls) -> Sample:
        return cls(host="", metric="", at=0.0, value=math.nan)

    def to_wire(self) -> dict[str, Any]:
        return {
            "version": WIRE_VERSION,
            "host": self.host,
            "metric": self.metric,
            "at": self.at,
            "value": self.value if math.isfinite(self.value) else None,
            "instance": self.instance,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Sample:
        _check(wire, "sample")
        try:
            value = wire["value"]
            return cls(
                host=str(wire["host"]),
                metric=str(wire["metric"]),
                at=_finite(wire["at"], "at"),
                value=math.nan if value is None else _finite(value, "value"),
                instance=None if wire["instance"] is None else str(wire["instance"]),
            )
        except KeyError as e:
            raise WireError(f"sample without {e}") from e


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LoadMatrix:
    """Loads of many hosts on one time grid: ``values[host, t]`` at ``start + t * step``.

    ``values`` is float64; NaN is a gap.
    """

    hosts: tuple[str, ...]
    start: float
    step: float
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[0] != len(self.hosts):
            raise ValueError(f"{len(self.hosts)} hosts, values of shape {self.values.shape}")
        if not (math.isfinite(self.step) and self.step > 0):
            raise ValueError(f"step of {self.step} s")

    @property
    def end(self) -> float:
        """The time of the last column; ``start`` without columns."""
        return self.start + max(self.values.shape[1] - 1, 0) * self.step

    @classmethod
    def empty(cls, step: float = 60.0) -> LoadMatrix:
        return cls.of({}, start=0.0, step=step)

    @classmethod
    def of(
        cls, rows: Mapping[str, Sequence[float | None]], *, start: float, step: float
    ) -> LoadMatrix:
        """Build a matrix from rows of equal length by host; ``None`` is a gap."""
        import numpy as np  # here: most importers of this module do not need it

        width = len(next(iter(rows.values()), ()))
        values = np.array([list(row) for row in rows.values()], dtype=np.float64)
        return cls(tuple(rows), start, step, values.reshape(len(rows), width))

    def to_wire(self) -> dict[str, Any]:
        rows = [[x if math.isfinite(x) else None for x in row] for row in self.values.tolist()]
        return {
            "version": WIRE_VERSION,
            "hosts": list(self.hosts),
            "start": self.start,
            "step": self.step,
            "values": rows,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> LoadMatrix:
        _check(wire, "load matrix")
        try:
            rows = dict(zip(wire["hosts"], wire["values"], strict=True))
            start, step = _finite(wire["start"], "start"), _finite(wire["step"], "step")
            return cls.of(rows, start=start, step=step)
        except KeyError as e:
            raise WireError(f"load matrix without {e}") from e
        except (TypeError, ValueError) as e:
            raise WireError(f"load matrix: {e}") from e


@dataclasses.dataclass(frozen=True, slots=True)
class HostForecast:
    """One host's load over the horizon.

    ``mean`` is the mean load over the horizon, and ``quantiles`` are the quantiles of that mean.
    ``peak`` are the quantiles of the highest sample within the horizon. The forecast that contains
    them has their levels.
    """

    mean: float
    quantiles: tuple[float, ...]
    peak: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast for all hosts, for ``horizon`` seconds after ``made_at``.

    A host that is not in ``hosts`` has no forecast. ``made_at`` is the time of the last sample
    column. ``levels`` increase, between 0 and 1 exclusively.
    """

    made_at: float
    horizon: float
    method: str
    levels: tuple[float, ...]
    hosts: Mapping[str, HostForecast]

    @classmethod
    def empty(cls, horizon: float = 0.0, method: str = "") -> Forecast:
        return cls(made_at=0.0, horizon=horizon, method=method, levels=(), hosts={})

    def to_wire(self) -> dict[str, Any]:
        return {
            "version": WIRE_VERSION,
            "made_at": self.made_at,
            "horizon": self.horizon,
            "method": self.method,
            "levels": list(self.levels),
            "hosts": {
                name: [host.mean, list(host.quantiles), list(host.peak)]
                for name, host in self.hosts.items()
            },
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Forecast:
        """Parse a forecast. Raises WireError for another version or a malformed one."""
        _check(wire, "forecast")
        try:
            levels = tuple(_finite(p, "level") for p in wire["levels"])
            hosts = {
                str(name): _host_from_wire(entry, len(levels))
                for name, entry in wire["hosts"].items()
            }
            return cls(
                made_at=_finite(wire["made_at"], "made_at"),
                horizon=_finite(wire["horizon"], "horizon"),
                method=str(wire["method"]),
                levels=levels,
                hosts=hosts,
            )
        except KeyError as e:
            raise WireError(f"forecast without {e}") from e
        except (TypeError, AttributeError) as e:
            raise WireError(f"forecast: {e}") from e


def _host_from_wire(entry: Sequence[Any], levels: int) -> HostForecast:
    if len(entry) != 3 or len(entry[1]) != levels or len(entry[2]) != levels:
        raise WireError(f"a host with {len(entry)} fields, forecast of {levels} levels")
    mean, quantiles, peak = entry
    return HostForecast(
        mean=_finite(mean, "mean"),
        quantiles=tuple(_finite(q, "quantile") for q in quantiles),
        peak=tuple(_finite(q, "peak") for q in peak),
    )
