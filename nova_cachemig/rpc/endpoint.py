"""What the agent answers on the bus. Methods are called on threads of the RPC server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord

Context = Mapping[str, Any]


class AgentEndpoint(Protocol):
    """Plain functions, idempotent; several run at once. A ValueError goes back to the caller."""

    def begin(
        self,
        ctxt: Context,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
    ) -> None:
        """Nova prepares a live migration."""

    def wait_warm(self, ctxt: Context, handover: HandoverId, wait: float) -> dict[str, Any]:
        """Back within ``wait`` seconds: ``{"ready": bool, "phase": str, "reason": str}``."""

    def guest_event(self, ctxt: Context, event: GuestEvent) -> None:
        """A moment of a migration."""

    def handovers(self, ctxt: Context, limit: int) -> list[HandoverRecord]:
        """The newest first."""

    def handover(self, ctxt: Context, handover: HandoverId) -> HandoverRecord | None:
        """One of them, if it is known."""

    def services(self, ctxt: Context) -> list[dict[str, Any]]:
        """name, listen, hosts, instance, port, address, state and error of each service."""

    def reload(self, ctxt: Context) -> list[str]:
        """Read the services now; the errors."""

    def ping(self, ctxt: Context) -> dict[str, Any]:
        """host and version."""
