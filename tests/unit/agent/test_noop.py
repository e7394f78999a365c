"""The twins that do nothing: each keeps its port's promises, and together they run a handover."""

from __future__ import annotations

import asyncio
import time
import unittest

from nova_cachemig.agent import noop, ports
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import EdgeState, Phase
from nova_cachemig.model.service import Route, Service, Target

LIMIT = 5.0
TARGET = Target("192.0.2.9", 80)
SERVICE = Service("shop", "uuid", 80, ("192.0.2.1", 80))


class KeepingStore(noop.NoHandoverStore):
    """Keeps the records, so that a test can look at them."""

    def __init__(self) -> None:
        self.saved: list[HandoverRecord] = []

    async def save(self, record: HandoverRecord, *, replaces: HandoverId | None = None) -> None:
        self.saved.append(record)


class WholeHandoverTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_handover_with_twins_only(self) -> None:
        store = KeepingStore()
        components = Components(
            noop.NoEngine(),
            noop.NoWrites(),
            noop.NoWarmer(),
            noop.NoProber(),
            store,
            noop.NoNova(),
            Timeouts(warm=5.0, ask_nova_after=60.0, deadline=3600.0),
        )
        manager = HandoverManager(components, lambda _uuid: (Route(SERVICE, TARGET),))
        self.addAsyncCleanup(manager.stop)
        handover = HandoverId("uuid", "req-1")
        async with asyncio.timeout(LIMIT):
            await manager.begin(handover, "a", "b", time.time())
            self.assertTrue((await manager.wait_warm(handover, LIMIT))["ready"])
            for kind in (EventKind.PAUSED, EventKind.RESUMED, EventKind.COMPLETED):
                await manager.guest_event(GuestEvent("uuid", kind, time.time(), "b", "req-1"))
            while manager.live():  # noqa: ASYNC110 - the manager's own tasks end it
                await asyncio.sleep(0)
        record = store.saved[-1]
        self.assertIs(OutcomeKind.COMPLETED, record.outcome)
        phases = {saved.phase for saved in store.saved}
        self.assertLessEqual({Phase.SHIELDED, Phase.REPLAYING, Phase.RELEASED}, phases)
        self.assertEqual({0}, set(record.counts.values()))


class TwinsTest(unittest.IsolatedAsyncioTestCase):
    async def test_the_engine_accepts_everything_and_counts_nothing(self) -> None:
        engine = noop.NoEngine()
        await engine.set_state("shop", EdgeState.SHIELDED)
        await engine.resend_lost("shop")
        await engine.update_barrier("shop", {"host": ["/"]}, {"url:/": True})
        self.assertEqual(0, await engine.holding("shop"))
        self.assertEqual(0, await engine.overtaken("shop"))
        self.assertEqual(ports.EdgeCounts(), await engine.counts("shop"))

    async def test_the_write_path_is_always_drained(self) -> None:
        writes = noop.NoWrites()
        await writes.open(SERVICE)
        await writes.send_to("shop", TARGET)
        await writes.hold("shop")
        await writes.caught_up("shop")
        await writes.close("shop")
        self.assertEqual({}, await writes.unfinished())
        self.assertEqual(ports.WriteCounts(), await writes.counts("shop"))

    async def test_the_warmer_never_delays_a_migration(self) -> None:
        warmer = noop.NoWarmer()
        self.assertEqual(ports.WarmCounts(), await warmer.warm("shop", deadline=0.0))
        self.assertEqual(ports.WarmCounts(), warmer.warm_counts("shop"))
        await self.waits_until_cancelled(warmer.keep_warm("shop"))

    async def test_the_prober_sees_the_guest_always_reachable(self) -> None:
        prober = noop.NoProber()
        await prober.wait_reachable(TARGET, interval=0.02)
        prober.expect(TARGET)
        await self.waits_until_cancelled(prober.wait_silent(TARGET, interval=0.02))

    async def test_the_tester_reaches_every_guest(self) -> None:
        self.assertTrue((await noop.NoTester().try_guest(TARGET, timeout=0.0)).reached)

    async def test_the_store_is_always_empty(self) -> None:
        store = noop.NoHandoverStore()
        await store.save(
            HandoverRecord(HandoverId("uuid", "req"), (), None, None, Phase.IDLE, started=0.0)
        )
        self.assertEqual(([], []), (await store.unfinished(), await store.newest(10)))

    async def test_nova_is_never_reachable(self) -> None:
        nova = noop.NoNova()
        state = await nova.migration_state("uuid", 0.0)
        self.assertIs(ports.MigrationState.UNKNOWN, state)
        with self.assertRaises(ports.NovaUnreachableError):
            await nova.instance("uuid")

    async def waits_until_cancelled(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        self.assertFalse(task.done())
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
