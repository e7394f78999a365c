"""The CPU load that one compute host has measured and sends to the forecaster."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

NAME_LIMIT: Final = 255
"""Characters of a host's name, as in Nova's database."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """One measurement at ``at`` (UNIX s) by the host named ``host`` in Nova.

    ``percent`` is the load that Nova's monitor states, in per cent of all CPUs. ``busy`` and
    ``total`` are the CPU times since the host's boot, in ns; None if the monitor has none.
    """

    host: str
    at: float
    percent: float
    busy: float | None = None
    total: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """Primitives only."""
        return dataclasses.asdict(self)

    @classmethod
    def from_wire(cls, wire: Any) -> Reading:
        """Raise ValueError, which names the field, unless ``wire`` is a reading."""
        if not isinstance(wire, Mapping):
            raise ValueError(f"not a reading: {wire!r:.100}")
        host = wire.get("host")
        if not isinstance(host, str) or not 0 < len(host) <= NAME_LIMIT:
            raise ValueError(f"host is not a name: {host!r:.100}")
        busy, total = wire.get("busy"), wire.get("total")
        return cls(
            host=host,
            at=_number(wire.get("at"), "at"),
            percent=_number(wire.get("percent"), "percent"),
            busy=None if busy is None else _number(busy, "busy"),
            total=None if total is None else _number(total, "total"),
        )


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e30:
        raise ValueError(f"{field} is not a number: {value!r:.50}")
    if not math.isfinite(value):
        raise ValueError(f"{field} is not finite: {value!r}")
    return float(value)
