"""What the hook in nova-compute tells the agent about a guest."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any


class GuestEventKind(enum.StrEnum):
    """Moments of a live migration that arrive by RPC."""

    ITERATION = "iteration"  # a round of pre-copy began
    PAUSED = "paused"  # execution stopped on the source for the switchover
    RESUMED = "resumed"  # execution began on the destination
    SWITCHOVER_FAILED = "switchover_failed"  # execution went on again on the source
    COMPLETED = "completed"  # Nova: post_live_migration at the destination is done
    ROLLED_BACK = "rolled_back"  # Nova: rollback is done
    FAILED = "failed"  # Nova: error or abort


@dataclasses.dataclass(frozen=True, slots=True)
class GuestEvent:
    """One moment. ``request`` is None where the hypervisor told it (it knows no request)."""

    instance: str
    kind: GuestEventKind
    at: float  # UNIX seconds at the host that saw it
    host: str | None = None  # the Nova host that saw it
    request: str | None = None
    detail: str = ""

    def to_wire(self) -> dict[str, Any]:
        """Primitives only."""
        return dataclasses.asdict(self) | {"kind": self.kind.value}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> GuestEvent:
        """Validate at the edge; raises ValueError that names the field."""
        try:
            return cls(
                instance=str(wire["instance"]),
                kind=GuestEventKind(wire["kind"]),
                at=float(wire["at"]),
                host=wire.get("host"),
                request=wire.get("request"),
                detail=str(wire.get("detail", "")),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"not a guest event: {exc!r} in {wire!r:.200}") from exc
