"""Nova's ``metrics.update`` notifications, converted to readings of a host's load.

A compute service with ``compute_monitors = cpu.virt_driver`` sends one with each resource update,
about every 60 s. There are two forms: ``compute.metrics.update`` (percentages as fractions) and,
with versioned notifications, ``metrics.update`` (whole per cent). Both hold the CPU times since the
host's boot, in ns.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any, Final

from nova_cachemig.model.reading import Reading

_VERSIONED: Final = "metrics.update"
_UNVERSIONED: Final = "compute.metrics.update"
_BUSY: Final = ("cpu.user.time", "cpu.kernel.time", "cpu.iowait.time")
_IDLE: Final = "cpu.idle.time"
_PERCENT: Final = "cpu.percent"


def is_relevant(event_type: object, *, versioned: bool) -> bool:
    """Whether :func:`read` applies to a notification."""
    return event_type == (_VERSIONED if versioned else _UNVERSIONED)


def read(payload: Mapping[str, Any]) -> Reading | None:
    """The reading in a payload of either form; None if the CPU is not measured.

    Raises ValueError for a payload that is malformed.
    """
    try:
        versioned = "nova_object.data" in payload
        body = payload["nova_object.data"] if versioned else payload
        metrics = list(_metrics(body["metrics"], versioned))
        values = {name: value for name, value, _ in metrics}
        if _PERCENT not in values:
            return None
        at = next(at for name, _, at in metrics if name == _PERCENT)
        busy = total = None
        if all(name in values for name in (*_BUSY, _IDLE)):
            busy = sum(values[name] for name in _BUSY)
            total = busy + values[_IDLE]
        wire = {"host": body["host"], "at": at, "percent": values[_PERCENT]}
        return Reading.from_wire(wire | {"busy": busy, "total": total})
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as exc:
        raise ValueError(f"not a metrics.update payload: {exc!r}") from exc


def _metrics(items: Iterable[Any], versioned: bool) -> Iterable[tuple[str, float, float]]:
    """Name, value and time (UNIX s) of each metric that has a single value."""
    for item in items:
        metric = item["nova_object.data"] if versioned else item
        name, value = metric["name"], metric.get("value")
        if value is None:
            continue  # memory bandwidth of NUMA nodes has several
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}")
        scale = 100.0 if name.endswith(".percent") and not versioned else 1.0
        yield name, value * scale, _seconds(metric["timestamp"])


def _seconds(text: str) -> float:
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return time.timestamp()
