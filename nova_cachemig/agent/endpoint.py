"""From the threads of the RPC server to the agent's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from importlib import metadata
from typing import Any, TypeVar

from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.ports import HandoverReader
from nova_cachemig.agent.services.registry import ServiceRegistry
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.rpc.bus import Context

T = TypeVar("T")

LOOP_LIMIT = 5.0
"""Seconds that the event loop may take for anything that is not told to wait."""

RELOAD_LIMIT = 60.0
"""Seconds for reading the files, asking Nova of each guest, and a reload of the edge."""

KEPT = 1000
"""Handovers that are looked through for one by its name."""


class Endpoint:
    """Implements :class:`nova_cachemig.rpc.agent.AgentEndpoint`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        manager: HandoverManager,
        store: HandoverReader,
        host: str,
        registry: ServiceRegistry,
    ) -> None:
        self._loop = loop
        self._manager = manager
        self._store = store
        self._host = host
        self._registry = registry

    def begin(
        self,
        ctxt: Context,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
    ) -> None:
        """A migration is being prepared."""
        self._run(self._manager.begin(handover, source, destination, at))

    def wait_warm(self, ctxt: Context, handover: HandoverId, wait: float) -> dict[str, Any]:
        """Long poll, at most ``wait`` seconds."""
        return self._run(self._manager.wait_warm(handover, wait), wait + LOOP_LIMIT)

    def guest_event(self, ctxt: Context, event: GuestEvent) -> None:
        """A moment of a migration."""
        self._run(self._manager.guest_event(event))

    def handovers(self, ctxt: Context, limit: int) -> list[HandoverRecord]:
        """The newest first; those under way as they stand now."""
        return self._run(self._newest(limit))

    def handover(self, ctxt: Context, handover: HandoverId) -> HandoverRecord | None:
        """One of the newest, by its name."""
        return next((r for r in self._run(self._newest(KEPT)) if r.id == handover), None)

    def services(self, ctxt: Context) -> list[dict[str, Any]]:
        """The services and where they stand."""
        return self._run(self._described())

    def reload(self, ctxt: Context) -> list[str]:
        """Read the services now; the errors."""
        return self._run(self._registry.refresh(force=True), RELOAD_LIMIT)

    def ping(self, ctxt: Context) -> dict[str, Any]:
        """Name of this agent and version of the package."""
        return {"host": self._host, "version": metadata.version("nova-cachemig")}

    async def _described(self) -> list[dict[str, Any]]:
        phases = {name: r.phase.value for r in self._manager.live() for name in r.services}
        return self._registry.describe(lambda name: phases.get(name, EdgeState.PASS.value))

    async def _newest(self, limit: int) -> list[HandoverRecord]:
        live = {record.id: record for record in self._manager.live()}
        kept = await self._store.newest(limit)
        merged = [live.pop(record.id, record) for record in kept]
        newest = sorted([*live.values(), *merged], key=lambda r: r.started, reverse=True)
        return newest[:limit]

    def _run(self, work: Coroutine[Any, Any, T], limit: float = LOOP_LIMIT) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(limit)
        finally:
            future.cancel()
