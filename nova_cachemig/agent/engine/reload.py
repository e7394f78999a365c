"""When HAProxy may be reloaded for new front addresses. No I/O, no clock.

The old worker process of HAProxy gets no changes after a reload: it would not release the requests
that it holds when the guest returns. So a reload waits until no service is in a handover. But
handovers may overlap without end, and one may last for hours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from nova_cachemig.model.phase import EdgeState

PATIENCE: Final = 600.0
"""Seconds for which a reload waits for handovers. After that, it waits only for services that hold
requests, each at most as long."""

_HOLDING: Final = frozenset({EdgeState.SHIELDED, EdgeState.REPLAY, EdgeState.DRAIN})


class ReloadGate:
    """All times are in seconds of the same monotonic clock."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # service → when it began to hold requests
        self._wanted_at: float | None = None

    def record(self, service: str, state: EdgeState, now: float) -> None:
        """The service has this state now."""
        if state not in _HOLDING:
            self._since.pop(service, None)
        else:
            self._since.setdefault(service, now)

    def blocking(
        self, states: Mapping[str, EdgeState], served: Collection[str], now: float
    ) -> list[str]:
        """Return the services for which a reload has to wait.

        ``states``: of the services in a handover. A service that is not ``served`` has no clients.
        """
        if self._wanted_at is None:
            self._wanted_at = now
        found = [name for name in states if name in served]
        if now - self._wanted_at < PATIENCE:
            return found
        for name in found:
            self.record(name, states[name], now)
        return [name for name in found if now - self._since.get(name, now - PATIENCE) < PATIENCE]

    def reloaded(self) -> None:
        """The reload is done."""
        self._wanted_at = None
