"""An event of a guest as nova-compute reports it to the agent."""

from __future__ import annotations

import dataclasses
from typing import Any

from nova_cachemig.model.event import FROM_COMPUTE, EventKind


@dataclasses.dataclass(frozen=True, slots=True)
class GuestEvent:
    """One event. ``request`` is None for an event of the hypervisor, which knows no request."""

    instance: str
    kind: EventKind
    at: float  # UNIX seconds: of the host that saw it on the wire, else of the agent's host
    host: str | None = None  # the Nova host that saw it
    request: str | None = None
    detail: str = ""  # for the log
    post_copy: bool = False  # of PAUSED and RESUMED: memory is still to follow

    def to_wire(self) -> dict[str, Any]:
        """Primitives only. An agent of RPC 1.0 ignores ``post_copy`` and reads ``detail``."""
        return dataclasses.asdict(self) | {"kind": self.kind.value}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> GuestEvent:
        """Validate at the edge; raises ValueError that names what is wrong."""
        try:
            kind = EventKind(wire["kind"])
            if kind not in FROM_COMPUTE:
                raise ValueError(f"nova-compute does not report {kind.value!r}")
            detail = str(wire.get("detail", ""))
            return cls(
                instance=str(wire["instance"]),
                kind=kind,
                at=float(wire["at"]),
                host=wire.get("host"),
                request=wire.get("request"),
                detail=detail,
                post_copy=bool(wire["post_copy"]) if "post_copy" in wire else _of_1_0(detail),
            )
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"not a guest event: {exc!r} in {wire!r:.200}") from exc


def _of_1_0(detail: str) -> bool:
    """Post-copy as RPC 1.0 says it: by the name of libvirt's event, such as suspended_postcopy."""
    return "postcopy" in detail.replace("-", "").lower()
