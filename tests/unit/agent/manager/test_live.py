"""One live handover: its watchdog, its counts and its record."""

from __future__ import annotations

import asyncio
import time
import unittest

from nova_cachemig.agent import noop, ports
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.live import LiveHandover
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.reads import Facts, ReadCounts
from nova_cachemig.model.service import Route, Service, Target

ROUTES = tuple(
    Route(Service(name, "uuid", port, ("192.0.2.1", port)), Target("192.0.2.9", port))
    for name, port in (("shop", 80), ("blog", 81))
)
LIMIT = 5.0


class Engine(noop.NoEngine):
    async def counts(self, service: str) -> ports.EdgeCounts:
        if service == "blog":
            return ports.EdgeCounts(hits=1, longest_wait=0.3)
        return ports.EdgeCounts(hits=2, misses=1, failed=1, longest_wait=0.1)

    def read_counts(self, service: str) -> ReadCounts:
        found = ReadCounts()
        if service == "blog":
            page = Facts("page", "shielded", plain=2, shared=True)
            found.add(page, hit=False, held=True, host="blog.example", url="/a")
        return found


class Warmer(noop.NoWarmer):
    def warm_counts(self, service: str) -> ports.WarmCounts:
        return ports.WarmCounts(wanted=2, changing=1)

    def verdict(self, service: str, host: str, url: str) -> str:
        return "changing" if (service, host, url) == ("blog", "blog.example", "/a") else ""


class Writes(noop.NoWrites):
    error: ports.ComponentError | None = None
    stuck = False

    async def caught_up(self, service: str) -> None:
        if self.stuck:
            await asyncio.Event().wait()

    async def counts(self, service: str) -> ports.WriteCounts:
        if self.error is not None:
            raise self.error
        return ports.WriteCounts(accepted=2, responded=2, longest_wait=0.2)


class Store(noop.NoHandoverStore):
    def __init__(self) -> None:
        self.saved: list[HandoverRecord] = []
        self.error: ports.ComponentError | None = None

    async def save(self, record: HandoverRecord, *, replaces: HandoverId | None = None) -> None:
        if self.error is not None:
            raise self.error
        self.saved.append(record)


class LiveTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.writes, self.store = Writes(), Store()

    def live(self, started: float | None = None, **limits: float) -> LiveHandover:
        values = {"warm": 5.0, "ask_nova_after": 60.0, "deadline": 3600.0} | limits
        components = Components(
            Engine(),
            self.writes,
            Warmer(),
            noop.NoProber(),
            self.store,
            noop.NoNova(),
            Timeouts(**values),
        )
        record = HandoverRecord(
            HandoverId("uuid", "req-1"), (), "a", "b", Phase.IDLE, started or time.time()
        )
        return LiveHandover(components, record, ROUTES)

    async def run_with(self, live: LiveHandover, *kinds: EventKind) -> None:
        for kind in kinds:
            live.post(Event(kind, time.time()))
        async with asyncio.timeout(LIMIT):
            await live.run()

    async def test_the_counts_of_all_services_are_added(self) -> None:
        live = self.live()
        await self.run_with(live, EventKind.BEGIN, EventKind.ARM, EventKind.PAUSED,
                            EventKind.RESUMED, EventKind.COMPLETED)  # fmt: skip
        record = self.store.saved[-1]
        self.assertIs(OutcomeKind.COMPLETED, record.outcome)
        self.assertEqual(("shop", "blog"), record.services)
        self.assertEqual((3, 1, 1), tuple(record.counts[n] for n in ("hits", "misses", "failed")))
        self.assertEqual((4, 4), (record.counts["writes"], record.counts["replayed"]))
        self.assertEqual(0.3, record.longest_wait)
        warming = {"wanted": 2, "changing": 1}
        blog = {"held": {"changing": 1}, "examples": {"changing": ["/a"]}, "warming": warming}
        self.assertEqual({"shop": {"warming": warming}, "blog": blog}, record.effects)
        self.assertEqual(record, HandoverRecord.from_wire(record.to_wire()))

    async def test_counts_that_fail_are_noted(self) -> None:
        self.writes.error = ports.ComponentError("not open")
        live = self.live()
        await self.run_with(live, EventKind.BEGIN, EventKind.ROLLED_BACK)
        sentences = [decision.sentence for decision in self.store.saved[-1].decisions]
        self.assertIn("192.0.2.9:80: not counted: not open", sentences)

    async def test_the_deadline_ends_a_handover_without_events(self) -> None:
        live = self.live(started=time.time() - 10, ask_nova_after=0.01, deadline=5.0)
        await self.run_with(live, EventKind.BEGIN)
        self.assertIs(OutcomeKind.ABANDONED, self.store.saved[-1].outcome)

    async def test_a_guest_that_comes_and_goes_past_the_deadline_is_released(self) -> None:
        self.writes.stuck = True
        live = self.live(started=time.time() - 10, ask_nova_after=0.1, deadline=5.0)
        live.post(Event(EventKind.BEGIN, time.time()))

        async def flap() -> None:
            while True:
                for kind in (EventKind.PAUSED, EventKind.REACHABLE):
                    live.post(Event(kind, time.time()))
                    await asyncio.sleep(0.02)

        flapping = asyncio.create_task(flap())
        try:
            async with asyncio.timeout(LIMIT):
                await live.run()
        finally:
            flapping.cancel()
        self.assertIs(OutcomeKind.ABANDONED, self.store.saved[-1].outcome)

    async def test_a_handover_that_is_found_past_its_deadline_gets_time(self) -> None:
        live = self.live(started=time.time() - 1000, ask_nova_after=60.0, deadline=5.0)
        await self.run_with(live, EventKind.RECOVER, EventKind.COMPLETED)
        sentences = [decision.sentence for decision in self.store.saved[-1].decisions]
        self.assertFalse([text for text in sentences if "deadline" in text])
        self.assertIs(OutcomeKind.COMPLETED, self.store.saved[-1].outcome)

    async def test_a_record_that_cannot_be_saved_does_not_end_the_handover(self) -> None:
        self.store.error = ports.ComponentError("the disk is full")
        live = self.live()
        with self.assertLogs("nova_cachemig.agent.manager.live", "ERROR") as logs:
            await self.run_with(live, EventKind.BEGIN, EventKind.ROLLED_BACK)
        self.assertIs(OutcomeKind.ROLLED_BACK, live.record.outcome)
        self.assertIn("could not be saved: the disk is full", logs.output[0])

    async def test_the_hook_stops_waiting_when_the_handover_ends(self) -> None:
        live = self.live()
        await self.run_with(live, EventKind.BEGIN, EventKind.ROLLED_BACK)
        self.assertTrue(live.warmed)
