"""Migrations of one instance, again and again: moves, rollbacks, aborts, long silences, crashes."""

from __future__ import annotations

import asyncio
import collections
import itertools
import random
import time
from collections.abc import Awaitable, Callable

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from tests.workload.instance import Instance
from tests.workload.node import Node

_END = 90.0  # seconds within which a handover must end after its last event
_AGAIN = 2.0  # seconds between two reports of the same event, until the agent knows it
_STEPS = ("warming", "armed", "silent", "replay", "ending")
"""The steps of a handover in which something happens to the agent."""


class Endless(AssertionError):
    """A handover did not end."""


class Migrations:
    """Migrates one instance repeatedly, as nova-compute reports it."""

    def __init__(
        self, node: Node, instance: Instance, uuid: str, services: list[str], seed: int,
        without: frozenset[str], only: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """``without``: kinds of migrations that are left out. ``only``: the others are left out."""
        self._node = node
        self._instance = instance
        self._uuid = uuid
        self._services = frozenset(services)
        self._random = random.Random(f"{seed}:{uuid}")
        self._numbers = itertools.count(1)
        self._request = ""
        kinds: list[tuple[str, float, Callable[[], Awaitable[None]]]] = [
            ("move", 6, self._move),
            ("unheard", 2, self._unheard),
            ("abort", 1.5, self._abort),
            ("rollback", 1.5, self._rollback),
            ("long", 1, self._long),
            ("again", 1.5, self._again),
            ("unannounced", 0.7, self._unannounced),
            ("guest-dies", 1, self._guest_dies),
            ("restart", 0.5, self._restart),
            ("crash", 0.5, self._crash),
            ("hang", 0.3, self._hang),
            ("hang-crash", 0.3, self._hang_and_crash),
        ]
        if node.disk is not None:
            kinds += [("full", 2, self._full), ("full-crash", 1, self._full_and_crash)]
        self._kinds = [
            kind for kind in kinds if kind[0] not in without and (not only or kind[0] in only)
        ]
        self.done: collections.Counter[str] = collections.Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Migrate until ``stop`` is set; then every handover has ended."""
        while not stop.is_set():
            weights = [weight for _, weight, _ in self._kinds]
            name, _, migrate = self._random.choices(self._kinds, weights)[0]
            self._request = f"req-{self._uuid[-4:]}-{next(self._numbers)}-{name}"
            await migrate()
            self.done[name] += 1
            await self._some(0.2, 1.2)

    # --- kinds

    async def _move(self) -> None:
        await self._arm()
        await self._silence(self._random.uniform(0.3, 2.0))
        await self._complete(EventKind.COMPLETED)

    async def _unheard(self) -> None:
        """No event of the pause arrives: the agent finds it out."""
        await self._arm()
        await self._silence(self._random.uniform(0.6, 2.0), heard=False)
        await self._complete(EventKind.COMPLETED)

    async def _abort(self) -> None:
        await self._arm()
        self._tell(EventKind.FAILED)
        await self._complete(EventKind.ROLLED_BACK)

    async def _rollback(self) -> None:
        await self._arm()
        await self._pause()
        self._tell(EventKind.PAUSED)
        await self._some(0.2, 1.5)
        self._tell(EventKind.SWITCHOVER_FAILED)
        await self._resume()
        self._tell(EventKind.FAILED)
        await self._complete(EventKind.ROLLED_BACK)

    async def _long(self) -> None:
        """The silence is longer than any client is held."""
        await self._arm()
        await self._silence(self._random.uniform(3.5, 8.0))
        await self._complete(EventKind.COMPLETED)

    async def _again(self) -> None:
        """The guest is silent again while its writes are replayed, or just when it is armed."""
        await self._arm()
        for _ in range(self._random.randrange(2, 4)):
            await self._silence(self._random.uniform(0.2, 1.0))
            await self._some(0.0, 0.4)
        await self._complete(EventKind.COMPLETED)

    async def _unannounced(self) -> None:
        await self._pause()
        self._tell(EventKind.PAUSED, named=False)
        await self._some(0.3, 1.5)
        await self._resume()
        self._tell(EventKind.RESUMED, named=False)
        await self._complete(EventKind.COMPLETED)

    async def _guest_dies(self) -> None:
        """The application crashes: before, while or after its writes are replayed."""
        if self._random.random() < 0.7:
            await self._arm()
            if self._random.random() < 0.7:
                await self._silence(self._random.uniform(0.2, 1.0))
                await self._some(0.0, 0.1)
        await asyncio.to_thread(self._instance.kill)
        await self._some(0.1, 1.0)
        await asyncio.to_thread(self._instance.restart)
        await self._complete(EventKind.COMPLETED)

    async def _restart(self) -> None:
        await self._with_agent(lambda: self._node.end(kill=False), self._node.run)

    async def _crash(self) -> None:
        await self._with_agent(lambda: self._node.end(kill=True), self._node.run)

    async def _hang(self) -> None:
        longest = self._random.choice((2.0, 2.0, 9.0))  # reads are held for less than that
        await self._with_agent(self._node.hang, self._node.go_on, longest)

    async def _hang_and_crash(self) -> None:
        def back() -> None:
            self._node.kill()
            self._node.run()

        await self._with_agent(self._node.hang, back)

    async def _full(self) -> None:
        """The disk of the agent has no room."""
        disk = self._node.disk
        assert disk is not None

        async def fault() -> None:
            with disk.full():
                await self._some(0.1, 4.0)

        async with self._node.lock:
            await self._during(fault)
        await self._complete(EventKind.COMPLETED)

    async def _full_and_crash(self) -> None:
        """The agent cannot start again before there is room."""
        disk = self._node.disk
        assert disk is not None

        def away() -> None:
            with disk.full():
                time.sleep(self._random.random())
                self._node.end(kill=True)
                self._node.run()
                time.sleep(self._random.uniform(0.0, 4.0))
            self._node.kill()

        await self._with_agent(away, self._node.run)

    async def _with_agent(
        self, away: Callable[[], None], back: Callable[[], None], longest: float = 2.0
    ) -> None:
        async with self._node.lock:
            await self._during(lambda: self._away(away, back, longest))
            await self._until_listens()
            self._node.back()
        await self._complete(EventKind.COMPLETED)

    async def _away(
        self, away: Callable[[], None], back: Callable[[], None], longest: float
    ) -> None:
        await asyncio.to_thread(away)
        await self._some(0.0, longest)
        await asyncio.to_thread(back)

    async def _during(self, fault: Callable[[], Awaitable[None]]) -> None:
        """Let the fault happen in one step of a handover."""
        step = self._random.choice(_STEPS)
        if step == "warming":
            self._begin()
            await self._some(0.0, 0.5)
            await fault()
            return
        await self._arm()
        if step == "silent":
            await self._pause()
            self._tell(EventKind.PAUSED)
            await self._some(0.1, 1.0)
            await fault()
            await self._some(0.0, 1.0)
            await self._resume()
            self._tell(EventKind.RESUMED)
            return
        if step == "replay":
            await self._silence(self._random.uniform(0.5, 2.0))
            await self._some(0.0, 0.2)
        elif step == "ending":
            await self._silence(self._random.uniform(0.5, 2.0))
            self._tell(EventKind.COMPLETED)
            await self._some(0.0, 0.5)
        await fault()

    # --- steps

    async def _arm(self) -> None:
        node, request = self._node.client, self._request
        self._begin()
        end = time.monotonic() + _END
        while time.monotonic() < end:
            try:
                found = await asyncio.to_thread(node.wait_warm, {}, self._uuid, request, 2.0)
            except (UnreachableError, RefusedError):  # the agent is away
                await asyncio.sleep(0.2)
                continue
            if found.ready:
                break
        else:
            raise Endless(f"{self._request}: the cache is not warm")
        await self._some(0.1, 1.5)

    def _begin(self) -> None:
        self._node.client.begin({}, self._uuid, self._request, "host-a", "host-b", time.time())

    async def _silence(self, seconds: float, *, heard: bool = True) -> None:
        late = self._random.random() < 0.3
        if heard and not late:
            self._tell(EventKind.PAUSED)
        await self._pause()
        if heard and late:
            self._tell(EventKind.PAUSED)
        await asyncio.sleep(seconds)
        await self._resume()
        if heard:
            self._tell(EventKind.RESUMED)

    async def _complete(self, kind: EventKind) -> None:
        """Report the end until the services are in no handover."""
        end, again = time.monotonic() + _END, 0.0
        while True:
            now = time.monotonic()
            if now > end:
                raise Endless(f"{self._request}: {await self._phases()}")
            if now > again:
                self._tell(kind)
                again = now + _AGAIN
            phases = await self._phases()
            if phases is not None and set(phases.values()) == {"idle"}:
                return
            await asyncio.sleep(0.1)

    async def _phases(self) -> dict[str, str] | None:
        try:
            found = await asyncio.to_thread(self._node.client.services, {})
        except (UnreachableError, RefusedError):
            return None
        return {one["name"]: one["phase"] for one in found if one["name"] in self._services}

    async def _until_listens(self) -> None:
        end = time.monotonic() + _END
        while await self._phases() is None:
            if time.monotonic() > end:
                raise Endless(f"{self._request}: the agent does not come back")
            await asyncio.sleep(0.1)

    def _tell(self, kind: EventKind, *, named: bool = True) -> None:
        request = self._request if named else None
        event = GuestEvent(self._uuid, kind, time.time(), "host-b", request)
        self._node.client.guest_event({}, event)

    async def _pause(self) -> None:
        await asyncio.to_thread(self._instance.pause)

    async def _resume(self) -> None:
        await asyncio.to_thread(self._instance.resume)

    async def _some(self, least: float, most: float) -> None:
        await asyncio.sleep(self._random.uniform(least, most))
