"""One measurement: so many handovers at the same time, under load."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.scalelib.guests import address_of, instance_of
from benchmarks.scalelib.network import Network
from benchmarks.scalelib.node import Node, fetch
from benchmarks.scalelib.users import Request, Users
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent

_GROUPS = 10  # the guests fall silent in so many groups, within _SPREAD seconds
_SPREAD = 0.1
_LIMIT = 120.0


def _p99(values: list[float]) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 4) if ordered else None


class Run:
    """``silence``: seconds for which each guest is silent."""

    def __init__(self, node: Node, network: Network, handovers: int, silence: float) -> None:
        self._node, self._network = node, network
        self._numbers = list(range(handovers))
        self._silence = silence
        self._pool = ThreadPoolExecutor(24)
        self._ready: list[float] = []
        self._shielded: dict[int, float] = {}
        self._released: dict[int, float] = {}

    async def run(self, users: Users) -> dict[str, Any]:
        """Return the row of the table."""
        stop = asyncio.Event()
        load = asyncio.create_task(users.run(stop))
        await asyncio.sleep(4)  # the warmer learns the pages
        began, cpu, engines = time.monotonic(), self._node.agent_cpu(), self._node.engines_cpu()
        await self._begin()
        await asyncio.sleep(2)
        armed = self._node.agent_cpu()
        silences, ends = await self._blackout()
        lasted = time.monotonic() - began
        cpu = self._node.agent_cpu() - cpu
        engines = self._node.engines_cpu() - engines
        await asyncio.sleep(1)
        stop.set()
        await load
        applied = json.loads(await asyncio.to_thread(fetch, "/log"))
        late = [at - silences[n] for n, at in self._shielded.items()]
        return {
            "handovers": len(self._numbers),
            "services": len(self._numbers),
            "ready_p99_s": _p99(self._ready),
            "shielded_last_s": round(max(late), 3) if len(late) == len(self._numbers) else None,
            "released_s": self._released_after(ends),
            "agent_cpu_s": round(cpu, 2),
            "agent_cpu_ms_per_handover": round(1000 * cpu / len(self._numbers), 1),
            "agent_cpu_silence_s": round(cpu - (armed - self._node_cpu_at_begin), 2),
            "engines_cpu_s": round(engines, 2),
            "agent_rss_mb": round(self._node.agent_rss(), 1),
            "seconds": round(lasted, 1),
            **self._judge(users.requests, silences, ends, applied),
        }

    async def _begin(self) -> None:
        self._node_cpu_at_begin = self._node.agent_cpu()
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._pool, self._arm, n) for n in self._numbers)
        )

    def _arm(self, number: int) -> None:
        client, instance, request = self._node.client, instance_of(number), f"req-{number}"
        began = time.monotonic()
        client.begin({}, instance, request, "host-a", "host-b", time.time())
        while time.monotonic() - began < _LIMIT:
            with contextlib.suppress(Exception):
                if client.wait_warm({}, instance, request, 0.2).ready:
                    self._ready.append(time.monotonic() - began)
                    return

    async def _blackout(self) -> tuple[dict[int, float], dict[int, float]]:
        silences: dict[int, float] = {}
        ends: dict[int, float] = {}
        groups = [group for i in range(_GROUPS) if (group := self._numbers[i::_GROUPS])]
        watching = asyncio.create_task(self._watch_shielded())
        began = time.monotonic()
        for index, group in enumerate(groups):
            await asyncio.sleep(max(0.0, began + index * _SPREAD / _GROUPS - time.monotonic()))
            await asyncio.to_thread(self._network.silence, group)
            silences |= dict.fromkeys(group, time.monotonic())
            self._tell(group, EventKind.PAUSED)
        for index, group in enumerate(groups):
            at = began + self._silence + index * _SPREAD / _GROUPS
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            await asyncio.to_thread(self._network.end_silence, group)
            ends |= dict.fromkeys(group, time.monotonic())
            self._tell(group, EventKind.RESUMED)
        watching.cancel()
        releasing = asyncio.create_task(self._until_released())
        await asyncio.sleep(0.3)
        self._tell(self._numbers, EventKind.COMPLETED)
        await releasing
        return silences, ends

    def _tell(self, numbers: list[int], kind: EventKind) -> None:
        for number in numbers:
            event = GuestEvent(instance_of(number), kind, time.time(), "host-b", f"req-{number}")
            self._node.client.guest_event({}, event)

    async def _watch_shielded(self) -> None:
        while len(self._shielded) < len(self._numbers):
            modes, now = await self._node.modes(), time.monotonic()
            for number in self._numbers:
                if modes.get(f"s{number}") == "shielded":
                    self._shielded.setdefault(number, now)
            await asyncio.sleep(0.01)

    async def _until_released(self) -> None:
        end = time.monotonic() + _LIMIT
        while len(self._released) < len(self._numbers) and time.monotonic() < end:
            modes, now = await self._node.modes(), time.monotonic()
            for number in self._numbers:
                if f"s{number}" not in modes:
                    self._released.setdefault(number, now)
            await asyncio.sleep(0.05)

    def _released_after(self, ends: dict[int, float]) -> float | None:
        if len(self._released) < len(self._numbers):
            return None
        return round(max(at - ends[n] for n, at in self._released.items()), 2)

    def _judge(
        self,
        requests: list[Request],
        silences: dict[int, float],
        ends: dict[int, float],
        applied: dict[str, list[str]],
    ) -> dict[str, Any]:
        held = [r for r in requests if silences[r.service] < r.sent < ends[r.service]]
        overrun = [r.done - ends[r.service] for r in held if r.done > ends[r.service]]
        hits = [1000 * (r.done - r.sent) for r in held if r.hit]
        writes = [r for r in requests if r.kind == "write"]
        places = {
            name: place
            for number in self._numbers
            for place, name in enumerate(applied.get(address_of(number), []))
        }
        everything = [name for names in applied.values() for name in names]
        acknowledged = [r for r in writes if 200 <= r.status < 300]
        return {
            "requests": len(requests),
            "hits": len(hits),
            "held": len(overrun),
            "held_overrun_p99_s": _p99(overrun),
            "hits_p99_ms": _p99(hits),
            "failed": sum(r.status == 0 or r.status >= 500 for r in requests),
            "lost": sum(r.name not in places for r in acknowledged),
            "doubled": len(everything) - len(set(everything)),
            "reordered": _reordered(acknowledged, places),
            "swapped_in_flight": _swapped(writes, places),
        }


def _by_service(writes: list[Request], places: dict[str, int]) -> list[list[Request]]:
    found: dict[int, list[Request]] = {}
    for write in writes:
        if write.name in places:
            found.setdefault(write.service, []).append(write)
    return list(found.values())


def _reordered(acknowledged: list[Request], places: dict[str, int]) -> int:
    """Count the writes that were applied before one that was acknowledged before they were sent."""
    count = 0
    for writes in _by_service(acknowledged, places):
        by_end, last, at = sorted(writes, key=lambda r: r.done), -1, 0
        for write in sorted(writes, key=lambda r: r.sent):
            while at < len(by_end) and by_end[at].done < write.sent:
                last, at = max(last, places[by_end[at].name]), at + 1
            count += places[write.name] < last
    return count


def _swapped(writes: list[Request], places: dict[str, int]) -> int:
    """Count the writes that were applied before one that their service's users had sent earlier."""
    count = 0
    for sent in _by_service(writes, places):
        last = -1
        for write in sorted(sent, key=lambda r: r.sent):
            count += places[write.name] < last
            last = max(last, places[write.name])
    return count
