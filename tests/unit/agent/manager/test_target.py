"""An instance with two targets, one of which is dead or slow: each is handed over on its own."""

from __future__ import annotations

import asyncio
import time
import unittest
from collections.abc import Callable

from nova_cachemig.agent import noop, ports
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.live import LiveHandover
from nova_cachemig.agent.manager.target import by_target
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import EdgeState, Phase
from nova_cachemig.model.service import Route, Service, Target

ROUTES = tuple(
    Route(Service(name, "uuid", port, ("192.0.2.1", port)), Target("192.0.2.9", port))
    for name, port in (("shop", 80), ("blog", 81))
)
LIMIT = 5.0


class Store(noop.NoHandoverStore):
    def __init__(self) -> None:
        self.saved: list[HandoverRecord] = []

    async def save(self, record: HandoverRecord, *, replaces: HandoverId | None = None) -> None:
        self.saved.append(record)


class Edge(noop.NoEngine):
    def __init__(self) -> None:
        self.states: dict[str, EdgeState] = {}

    async def set_state(self, service: str, state: EdgeState) -> None:
        self.states[service] = state


class Queues(noop.NoWrites):
    def __init__(self) -> None:
        self.empty = {"shop": asyncio.Event(), "blog": asyncio.Event()}
        self.given_up: list[str] = []
        self.closed: set[str] = set()
        for event in self.empty.values():
            event.set()

    async def open(self, service: Service) -> None:
        if service.name in self.closed:
            raise ports.ComponentError("the disk is full")

    async def caught_up(self, service: str) -> None:
        await self.empty[service].wait()

    async def give_up(self, service: str) -> None:
        self.given_up.append(service)
        self.empty[service].set()


class Prober(noop.NoProber):
    """A guest whose ports are reachable and silent one by one."""

    def __init__(self) -> None:
        self.up = {80: asyncio.Event(), 81: asyncio.Event()}
        self.silent = {80: asyncio.Event(), 81: asyncio.Event()}
        self.expected: list[int] = []

    async def wait_reachable(self, target: Target, *, interval: float) -> None:
        await self.up[target.port].wait()

    async def wait_silent(self, target: Target, *, interval: float) -> None:
        await self.silent[target.port].wait()

    def expect(self, target: Target) -> None:
        self.expected.append(target.port)


class TwoTargetsTest(unittest.IsolatedAsyncioTestCase):
    """An instance with two ports: shop on 80, blog on 81."""

    def setUp(self) -> None:
        self.engine, self.writes, self.store = Edge(), Queues(), Store()
        self.prober = Prober()

    async def begun(self, **limits: float) -> LiveHandover:
        values = {"warm": 5.0, "ask_nova_after": 60.0, "deadline": 3600.0} | limits
        self.timeouts = Timeouts(**values)
        components = Components(
            self.engine,
            self.writes,
            noop.NoWarmer(),
            self.prober,
            self.store,
            noop.NoNova(),
            self.timeouts,
        )
        record = HandoverRecord(HandoverId("uuid", "req-1"), (), "a", "b", Phase.IDLE, time.time())
        live = LiveHandover(components, record, ROUTES)
        self.task = asyncio.create_task(live.run())
        self.addCleanup(self.task.cancel)
        self.post(live, EventKind.BEGIN, EventKind.ARM)
        return live

    def post(self, live: LiveHandover, *kinds: EventKind) -> None:
        for kind in kinds:
            live.post(Event(kind, time.time()))

    async def until(self, check: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT):
            while not check():  # noqa: ASYNC110 - what is awaited is another's doing
                await asyncio.sleep(0)

    def sentences(self) -> list[str]:
        return [decision.sentence for decision in self.store.saved[-1].decisions]

    async def moved(self, live: LiveHandover) -> None:
        """The guest has moved. Of its ports, only that of the shop is reachable."""
        self.post(live, EventKind.PAUSED, EventKind.RESUMED)
        self.prober.up[80].set()

    async def test_a_guest_that_runs_again_is_expected_back_on_each_port(self) -> None:
        live = await self.begun()
        self.post(live, EventKind.PAUSED)
        await self.until(lambda: set(live.phases().values()) == {Phase.SHIELDED})
        self.assertEqual([], self.prober.expected)
        self.post(live, EventKind.RESUMED)
        await self.until(lambda: self.prober.expected)
        self.assertEqual([80, 81], self.prober.expected)

    async def test_a_dead_port_does_not_keep_the_other_from_its_release(self) -> None:
        live = await self.begun()
        await self.moved(live)
        await self.until(lambda: self.engine.states.get("shop") is EdgeState.PASS)
        self.post(live, EventKind.COMPLETED)
        await self.until(lambda: self.sentences()[-1].endswith("Nova says how it ended"))
        self.assertIs(EdgeState.SHIELDED, self.engine.states["blog"])
        self.assertEqual({"shop": Phase.RELEASED, "blog": Phase.SHIELDED}, live.phases())
        self.assertIs(Phase.SHIELDED, self.store.saved[-1].phase)
        self.assertIsNone(self.store.saved[-1].ended)
        self.prober.up[81].set()
        await self.task
        self.assertIs(EdgeState.PASS, self.engine.states["blog"])
        self.assertIs(OutcomeKind.COMPLETED, self.store.saved[-1].outcome)

    async def test_a_port_that_does_not_respond_delays_only_its_own_drain(self) -> None:
        self.writes.empty["blog"].clear()
        live = await self.begun()
        await self.moved(live)
        self.prober.up[81].set()
        await self.until(lambda: live.phases() == {"shop": Phase.RELEASED, "blog": Phase.REPLAYING})
        self.assertIs(EdgeState.PASS, self.engine.states["shop"])
        self.writes.empty["blog"].set()
        await self.until(lambda: self.engine.states.get("blog") is EdgeState.PASS)

    async def test_the_deadline_gives_up_only_the_writes_of_the_port_that_waits(self) -> None:
        self.writes.empty["blog"].clear()
        live = await self.begun(ask_nova_after=0.05)
        await self.moved(live)
        await self.until(lambda: self.engine.states.get("shop") is EdgeState.PASS)
        object.__setattr__(self.timeouts, "deadline", 0.0)  # a short one may pass before that
        self.prober.up[81].set()
        await self.task
        self.assertEqual(["blog"], self.writes.given_up)
        self.assertEqual({EdgeState.PASS}, set(self.engine.states.values()))
        self.assertIs(OutcomeKind.ABANDONED, self.store.saved[-1].outcome)

    async def test_a_port_that_is_silent_is_shielded_alone(self) -> None:
        live = await self.begun()
        self.prober.silent[81].set()
        await self.until(lambda: self.engine.states.get("blog") is EdgeState.SHIELDED)
        self.assertEqual({"shop": Phase.ARMED, "blog": Phase.SHIELDED}, live.phases())
        await self.until(lambda: "192.0.2.9:81: the guest is silent" in self.sentences()[-1])

    async def test_a_decision_for_all_ports_is_recorded_once(self) -> None:
        live = await self.begun()
        self.post(live, EventKind.PAUSED)
        await self.until(lambda: live.phase is Phase.SHIELDED)
        await self.until(lambda: "shielding" in self.sentences()[-1])
        self.assertEqual(1, self.sentences().count("the guest is paused: shielding"))

    async def test_a_pause_after_the_end_of_one_port_protects_it_again(self) -> None:
        live = await self.begun()
        await self.moved(live)
        await self.until(lambda: self.engine.states.get("shop") is EdgeState.PASS)
        self.post(live, EventKind.COMPLETED)
        self.prober.up[80].clear()
        self.post(live, EventKind.PAUSED)
        await self.until(lambda: self.engine.states.get("shop") is EdgeState.SHIELDED)
        self.assertEqual({"shop": Phase.SHIELDED, "blog": Phase.SHIELDED}, live.phases())

    async def test_a_journal_that_cannot_open_for_one_port_leaves_the_other_protected(self) -> None:
        self.writes.closed.add("blog")
        with self.assertLogs("nova_cachemig.agent.manager.live", "ERROR"):
            live = await self.begun()
            await self.until(lambda: live.phases() == {"shop": Phase.ARMED, "blog": Phase.RELEASED})
        self.assertNotIn("blog", self.engine.states)
        self.post(live, EventKind.COMPLETED)
        await self.task
        self.assertIs(OutcomeKind.COMPLETED, self.store.saved[-1].outcome)

    async def test_the_hook_waits_until_all_ports_are_warm(self) -> None:
        live = await self.begun()
        async with asyncio.timeout(LIMIT):
            await live.wait_warmed()
        self.assertTrue(live.warmed)


class GroupsTest(unittest.TestCase):
    def test_services_on_one_port_belong_together(self) -> None:
        shop, blog = ROUTES
        more = Route(Service("forum", "uuid", 80, ("192.0.2.1", 82)), shop.target)
        self.assertEqual([(shop, more), (blog,)], by_target([shop, blog, more]))

    def test_a_handover_without_a_known_target_has_one_empty_group(self) -> None:
        lost = Route(Service("lost", "uuid", 82, ("192.0.2.1", 82)), None)
        self.assertEqual([()], by_target([lost]))
