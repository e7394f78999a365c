"""Handovers one after the other. The memory, files and maps that they leave are counted."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.scalelib.guests import instance_of
from benchmarks.scalelib.node import Node
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent

_LOOKS = 10
_LIMIT = 30.0  # seconds for one handover


class Sequence:
    """Each guest is paused and resumed immediately. The services have no users."""

    def __init__(self, node: Node, services: int) -> None:
        self._node, self._services = node, services

    async def run(self, handovers: int) -> list[dict[str, Any]]:
        """Return a row for each tenth of the handovers."""
        rows, each = [], max(1, handovers // _LOOKS)
        began, cpu = time.monotonic(), self._node.agent_cpu()
        for number in range(handovers):
            await self._handover(number)
            if (number + 1) % each:
                continue
            seconds = (time.monotonic() - began) / each
            used = (self._node.agent_cpu() - cpu) / each
            rows.append({
                "handovers": number + 1,
                "s_per_handover": round(seconds, 3),
                "agent_cpu_ms_per_handover": round(1000 * used, 1),
                "agent_rss_mb": round(self._node.agent_rss_now(), 1),
                "agent_files": self._node.agent_files(),
                "map_entries": sum([await self._node.entries(name) for name in
                                    ("state", "pending", "epochs")]),
            })  # fmt: skip
            began, cpu = time.monotonic(), self._node.agent_cpu()
        return rows

    async def _handover(self, number: int) -> None:
        service, request = number % self._services, f"req-{number}"
        instance, client = instance_of(service), self._node.client
        await asyncio.to_thread(
            client.begin, {}, instance, request, "host-a", "host-b", time.time()
        )
        end = time.monotonic() + _LIMIT
        while not (await asyncio.to_thread(client.wait_warm, {}, instance, request, 1.0)).ready:
            if time.monotonic() > end:
                raise RuntimeError(f"handover {number} does not become warm")
        for kind in (EventKind.PAUSED, EventKind.RESUMED, EventKind.COMPLETED):
            event = GuestEvent(instance, kind, time.time(), "host-b", request)
            await asyncio.to_thread(client.guest_event, {}, event)
        while f"s{service}" in await self._node.modes():
            if time.monotonic() > end:
                raise RuntimeError(f"handover {number} does not end")
            await asyncio.sleep(0.02)
