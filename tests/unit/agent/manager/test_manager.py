"""The manager with recording components: its calls, their order, and that each handover ends."""

import asyncio
import math
import time
import unittest
from unittest import mock

from nova_cachemig.agent import ports
from nova_cachemig.agent.manager import performer
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.ports import ComponentError, MigrationState
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from tests.unit.agent.manager.fakes import ROUTE, FakeComponents

ID = HandoverId("uuid", "req-1")
LIMIT = 5.0


class ManagerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.fake = FakeComponents()
        self.instances = {"shop": "uuid", "gone": None}

        async def edge_counts(service):
            return ports.EdgeCounts(hits=7, longest_wait=0.3)

        self.fake_writes = FakeComponents()
        self.fake_writes.log = self.fake.log
        self.fake_writes.unfinished = self._no_writes

        async def write_counts(service):
            return ports.WriteCounts(accepted=5, responded=5, longest_wait=0.5)

        self.fake.counts = edge_counts
        self.fake_writes.counts = write_counts

    async def _no_writes(self):
        return {}

    def manager(self, **limits):
        components = self.fake.components(**limits)
        components = type(components)(
            self.fake,
            self.fake_writes,
            self.fake,
            self.fake,
            self.fake,
            self.fake,
            components.timeouts,
        )
        self.timeouts = components.timeouts
        manager = HandoverManager(
            components,
            lambda uuid: (ROUTE,) if uuid == "uuid" else (),
            instance_of=self.instances.get,
        )
        self.addAsyncCleanup(manager.stop)
        return manager

    async def until(self, check):
        async with asyncio.timeout(LIMIT):
            while not check():  # noqa: ASYNC110 - what is awaited is another's doing
                await asyncio.sleep(0)

    async def notify(self, manager, kind, request=None, detail=""):
        await manager.guest_event(GuestEvent("uuid", kind, time.time(), "host", request, detail))

    def last(self):
        return self.fake.saved[-1]

    async def begun(self, manager):
        await manager.begin(ID, "a", "b", time.time())
        await self.until(lambda: "edge armed" in self.fake.log)

    async def test_a_guest_that_was_never_reached_is_not_shielded(self):
        manager = HandoverManager(
            self.fake.components(), lambda uuid: (), lambda uuid: "service shop: not reached"
        )
        with self.assertLogs("nova_cachemig.agent.manager.manager", "WARNING") as logs:
            await manager.begin(ID, "a", "b", time.time())
            response = await manager.wait_warm(ID, LIMIT)
        self.assertEqual(1, len(logs.output))
        self.assertIn("not protected: service shop: not reached", logs.output[0])
        self.assertEqual(
            (True, "not protected: service shop: not reached"),
            (response["ready"], response["reason"]),
        )
        await self.notify(manager, EventKind.PAUSED)
        self.assertEqual(([], []), (manager.live(), self.fake.log))

    async def test_a_whole_migration(self):
        manager = self.manager()
        await self.begun(manager)
        self.fake.warm_done.set()
        result = await manager.wait_warm(ID, LIMIT)
        self.assertTrue(result["ready"])
        await self.until(lambda: manager.live()[0].phase is Phase.ARMED)
        await self.notify(manager, EventKind.PAUSED)
        await self.until(lambda: "edge shielded" in self.fake.log)
        self.assertLess(self.fake.log.index("hold"), self.fake.log.index("edge shielded"))
        self.fake.guest_up.set()
        await self.until(lambda: "edge pass" in self.fake.log)
        await self.notify(manager, EventKind.COMPLETED, "req-1")
        await self.until(lambda: not manager.live())
        record = self.last()
        self.assertIs(record.outcome, OutcomeKind.COMPLETED)
        self.assertEqual(7, record.counts["hits"])
        self.assertEqual(5, record.counts["replayed"])
        self.assertEqual(0.5, record.longest_wait)
        order = [w for w in self.fake.log if w.startswith("edge")]
        self.assertEqual(
            ["edge armed", "edge armed", "edge shielded", "edge replay", "edge drain", "edge pass"],
            order,
        )

    async def test_an_instance_without_services_costs_nothing(self):
        manager = self.manager()
        await manager.begin(HandoverId("other", "req-2"), "a", "b", time.time())
        result = await manager.wait_warm(HandoverId("other", "req-2"), LIMIT)
        self.assertTrue(result["ready"])
        self.assertEqual([], self.fake.log)

    async def test_a_hook_that_stops_to_ask_is_taken_to_have_given_up(self):
        manager = self.manager(poll_gap=0.05)
        await self.begun(manager)
        result = await manager.wait_warm(ID, 0.01)
        self.assertFalse(result["ready"])
        await self.until(lambda: manager.live()[0].phase is Phase.ARMED)

    async def test_begin_twice_is_begin_once(self):
        manager = self.manager()
        await self.begun(manager)
        await manager.begin(ID, "a", "b", time.time())
        self.assertEqual(1, self.fake.log.count("open"))

    async def test_the_journal_cannot_be_opened_and_nothing_is_flipped(self):
        manager = self.manager()
        self.fake_writes.open_error = ports.ComponentError("the disk is full")
        await manager.begin(ID, "a", "b", time.time())
        await self.until(lambda: self.fake.saved and not manager.live())
        self.assertNotIn("edge armed", self.fake.log)
        self.assertIn("not protected: the disk is full", self.last().decisions[-1].sentence)

    async def unannounced(self):
        manager = self.manager()
        await self.notify(manager, EventKind.PAUSED)
        await self.until(lambda: "edge shielded" in self.fake.log)
        return manager

    async def test_an_unannounced_pause_shields_and_is_logged(self):
        manager = await self.unannounced()
        [record] = manager.live()
        self.assertFalse(record.id.announced)
        await self.until(lambda: manager.live()[0].decisions)
        [decision] = manager.live()[0].decisions
        self.assertEqual(
            "the guest is paused, but Nova announced no migration: shielding (host)",
            decision.sentence,
        )

    async def test_a_begin_that_comes_late_announces_it(self):
        manager = await self.unannounced()
        await manager.begin(ID, "a", "b", time.time())
        [record] = manager.live()
        self.assertEqual((ID, "a", "b"), (record.id, record.source, record.destination))
        self.assertEqual(1, self.fake.log.count("open"))
        self.assertEqual([ID], list(self.fake.disk))
        self.assertEqual([], [saved for saved in self.fake.saved if saved.ended])

    async def test_a_hook_that_asks_late_announces_it_and_need_not_wait(self):
        manager = await self.unannounced()
        self.assertTrue((await manager.wait_warm(ID, LIMIT))["ready"])
        self.assertEqual([ID], [record.id for record in manager.live()])

    async def test_novas_outcome_announces_and_ends_it(self):
        manager = await self.unannounced()
        self.fake.guest_up.set()
        await self.until(lambda: "edge pass" in self.fake.log)
        await self.notify(manager, EventKind.COMPLETED, "req-1")
        await self.until(lambda: not manager.live())
        self.assertEqual(ID, self.last().id)
        self.assertIs(self.last().outcome, OutcomeKind.COMPLETED)
        self.assertEqual([ID], list(self.fake.disk))

    async def test_novas_outcome_while_the_guest_is_paused_ends_it(self):
        manager = await self.unannounced()
        await self.notify(manager, EventKind.FAILED, "req-1")
        await self.until(lambda: manager.live()[0].phase is Phase.ROLLING_BACK)
        self.fake.guest_up.set()
        await self.until(lambda: not manager.live())
        self.assertIs(self.last().outcome, OutcomeKind.ROLLED_BACK)

    async def test_the_outcome_of_an_earlier_migration_is_not_its(self):
        manager = await self.unannounced()
        early = time.time() - 60.0
        await manager.guest_event(
            GuestEvent("uuid", EventKind.COMPLETED, early, "host", "req-before")
        )
        [record] = manager.live()
        self.assertFalse(record.id.announced)

    async def test_the_next_migration_supersedes_an_unannounced_one(self):
        manager = await self.unannounced()
        self.fake.guest_up.set()
        await self.until(lambda: manager.live()[0].phase is Phase.RELEASED)
        await manager.begin(ID, "a", "b", time.time() + 1.0)
        await self.until(lambda: self.fake.log.count("open") == 2)
        self.assertEqual([ID], [record.id for record in manager.live()])

    async def test_a_post_copy_pause_keeps_the_cache_in_front_until_nova_reports_completion(self):
        manager = self.manager()
        await self.begun(manager)
        event = GuestEvent("uuid", EventKind.PAUSED, time.time(), "host", post_copy=True)
        await manager.guest_event(event)
        await self.until(lambda: "edge shielded" in self.fake.log)
        self.fake.guest_up.set()
        await self.until(lambda: manager.live()[0].phase is Phase.ARMED)
        self.assertNotIn("edge pass", self.fake.log)

    async def test_events_missing_nova_is_asked(self):
        manager = self.manager(ask_nova_after=0.01)
        self.fake.guest_up.set()
        await self.begun(manager)
        self.fake.nova = MigrationState.FAILED
        await self.until(lambda: not manager.live())
        self.assertIs(self.last().outcome, OutcomeKind.ROLLED_BACK)

    async def test_without_a_known_outcome_the_deadline_ends_it(self):
        manager = self.manager(ask_nova_after=0.01)
        self.fake.guest_up.set()
        await self.begun(manager)
        self.pass_deadline()
        await self.until(lambda: not manager.live())
        self.assertIs(self.last().outcome, OutcomeKind.ABANDONED)

    def pass_deadline(self):
        """From now on the deadline is past. A busy machine would let a short one pass too early."""
        object.__setattr__(self.timeouts, "deadline", 0.0)

    async def overdue(self):
        """Past the deadline, the guest is reachable, and the journal does not become empty."""
        manager = await self.unreachable()
        self.pass_deadline()
        self.fake.guest_up.set()
        await self.until(lambda: "give_up" in self.fake.log)
        return manager

    async def test_past_the_deadline_a_service_is_released_although_writes_wait(self):
        self.fake_writes.journal_empty.clear()
        manager = await self.overdue()
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", [c for c in self.fake.log if c.startswith("edge")][-1])
        self.assertNotIn("edge drain", self.fake.log)

    async def test_past_the_deadline_a_service_is_released_although_the_database_is_away(self):
        self.fake_writes.journal_empty.clear()
        self.fake_writes.quarantined.clear()
        manager = await self.overdue()
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", [c for c in self.fake.log if c.startswith("edge")][-1])
        self.assertIn("released before the journal's database has the quarantine of the writes",
                      [decision.sentence for decision in self.last().decisions])  # fmt: skip

    async def test_releases_that_fail_again_and_again_end_at_the_deadline(self):
        sealing = mock.AsyncMock(side_effect=ports.ComponentError("a write waits"))
        self.fake_writes.close = sealing
        await self.unreachable()
        self.fake.guest_up.set()
        await self.until(lambda: sealing.await_count > 1)
        self.assertNotIn("give_up", self.fake.log)
        self.pass_deadline()
        await self.until(lambda: "give_up" in self.fake.log)

    async def unreachable(self):
        """A pause that does not end."""
        manager = self.manager(ask_nova_after=0.05)
        await self.begun(manager)
        await self.notify(manager, EventKind.PAUSED)
        await self.until(lambda: "edge shielded" in self.fake.log)
        return manager

    def edge(self):
        return [call for call in self.fake.log if call.startswith("edge")]

    async def test_past_the_deadline_a_guest_that_stays_unreachable_is_released(self):
        self.fake_writes.journal_empty.clear()
        manager = await self.unreachable()
        self.pass_deadline()
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", self.edge()[-1])
        self.assertEqual("send", [c for c in self.fake.log if c in {"send", "hold"}][-1])
        self.assertIn("give_up", self.fake.log)
        self.assertIs(self.last().outcome, OutcomeKind.ABANDONED)

    async def test_past_the_deadline_a_failed_switchover_is_released(self):
        manager = await self.unreachable()
        await self.notify(manager, EventKind.SWITCHOVER_FAILED)
        await self.until(lambda: manager.live()[0].phase is Phase.ROLLING_BACK)
        self.pass_deadline()
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", self.edge()[-1])

    async def test_the_end_of_the_instance_ends_the_handover(self):
        self.fake_writes.journal_empty.clear()
        manager = await self.unreachable()
        self.fake.nova = MigrationState.DELETED
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", self.edge()[-1])
        self.assertEqual("hold", [c for c in self.fake.log if c in {"send", "hold"}][-1])

    async def test_the_end_of_the_instance_ends_a_replay(self):
        self.fake_writes.journal_empty.clear()
        manager = await self.unreachable()
        self.fake.guest_up.set()
        await self.until(lambda: "edge replay" in self.fake.log)
        self.fake.nova = MigrationState.DELETED
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", self.edge()[-1])

    async def test_the_removal_of_all_services_ends_the_handover(self):
        self.fake_writes.journal_empty.clear()
        manager = await self.unreachable()
        self.instances["shop"] = None
        await self.until(lambda: not manager.live())
        self.assertEqual("edge pass", self.edge()[-1])

    async def test_the_removal_of_all_services_drains_the_journal_of_a_reachable_guest(self):
        manager = self.manager(ask_nova_after=0.05)
        await self.begun(manager)
        self.instances["shop"] = "another"
        await self.until(lambda: not manager.live())
        self.assertEqual(["edge drain", "edge pass"], self.edge()[-2:])
        self.assertNotIn("give_up", self.fake.log)

    async def test_a_handover_on_disk_without_any_service_ends(self):
        manager = self.manager(ask_nova_after=0.05)
        gone = HandoverId("gone", "req-1")
        self.fake.left = [
            HandoverRecord(gone, ("lost",), "a", "b", Phase.SHIELDED, started=time.time())
        ]
        await manager.recover()
        await self.until(lambda: not manager.live())
        self.assertIs(self.last().outcome, OutcomeKind.ABANDONED)

    async def test_an_event_of_another_request_is_not_ours(self):
        manager = self.manager()
        await self.begun(manager)
        await self.notify(manager, EventKind.COMPLETED, "req-of-another")
        self.assertIs(manager.live()[0].phase, Phase.WARMING)

    async def test_a_second_migration_supersedes_the_first(self):
        manager = self.manager()
        await self.begun(manager)
        await manager.begin(HandoverId("uuid", "req-2"), "a", "b", time.time())
        await self.until(lambda: self.fake.log.count("open") == 2)
        self.assertEqual("req-2", manager.live()[0].id.request)
        ended = [r for r in self.fake.saved if r.ended]
        self.assertEqual(["req-1"], [r.id.request for r in ended])

    async def test_recovery_shields_and_ends_with_novas_outcome(self):
        manager = self.manager()
        self.fake.left = [
            HandoverRecord(ID, ("shop",), "a", "b", Phase.SHIELDED, started=time.time())
        ]
        self.fake.nova = MigrationState.COMPLETED
        await manager.recover()
        await self.until(lambda: "edge shielded" in self.fake.log)
        self.fake.guest_up.set()
        await self.until(lambda: not manager.live())
        self.assertIs(self.last().outcome, OutcomeKind.COMPLETED)

    async def found(self, *services):
        """An agent starts, whose journal has writes of these services, but no handover."""

        async def waiting():
            return dict.fromkeys(services, 3)

        self.fake_writes.unfinished = waiting
        manager = self.manager()
        await manager.recover()
        return manager

    async def test_writes_without_a_handover_are_sent_at_the_start(self):
        manager = await self.found("shop")
        await self.until(lambda: "edge shielded" in self.fake.log)
        self.assertNotIn("send", self.fake.log)
        self.fake.guest_up.set()
        await self.until(lambda: not manager.live())
        order = ["open", "hold", "edge shielded", "send", "edge replay", "edge drain", "edge pass"]
        self.assertEqual(order, [call for call in self.fake.log if call in order])
        self.assertIs(self.last().outcome, OutcomeKind.ABANDONED)

    async def test_writes_of_a_service_that_no_longer_exists_are_reported(self):
        with self.assertLogs("nova_cachemig.agent.manager", "ERROR") as logs:
            manager = await self.found("gone")
        self.assertEqual([], manager.live())
        self.assertIn("service gone: 3 writes wait in the journal", logs.output[0])

    async def test_a_write_that_comes_while_releasing_drains_again(self):
        manager = self.manager()
        await self.begun(manager)
        await self.notify(manager, EventKind.PAUSED)
        self.fake.guest_up.set()
        seal = self.fake_writes.seal
        calls = []

        async def late_once(service, patience):
            calls.append(service)
            if len(calls) == 1:
                raise ComponentError("1 writes still wait")
            await seal(service, patience)

        self.fake_writes.seal = late_once
        await self.until(lambda: "edge pass" in self.fake.log)
        self.assertEqual(2, self.fake.log.count("edge drain"))
        self.assertEqual(2, self.fake.log.count("edge replay"))
        self.assertEqual(2, self.fake.log.count("unseal"))  # also when the guest was paused

    async def replayed(self):
        manager = self.manager()
        await self.begun(manager)
        await self.notify(manager, EventKind.PAUSED)
        self.fake.guest_up.set()
        await self.until(lambda: "edge replay" in self.fake.log)

    async def test_a_release_waits_for_the_last_that_were_held(self):
        self.fake.held = 3
        await self.replayed()
        await self.until(lambda: self.fake.holding_calls > 2)
        self.assertNotIn("edge drain", self.fake.log)
        self.fake.held = 0
        await self.until(lambda: "edge pass" in self.fake.log)

    async def test_a_release_does_not_wait_for_ever_for_those_that_are_held(self):
        self.fake.held = 3
        with mock.patch.object(performer, "HELD_TIMEOUT", 0.05):
            await self.replayed()
            await self.until(lambda: "edge pass" in self.fake.log)
        self.assertEqual(3, self.fake.held)

    async def test_a_release_does_not_wait_for_an_unknown_number_of_held(self):
        self.fake.holding = mock.AsyncMock(side_effect=ports.ComponentError("the edge is gone"))
        await self.replayed()
        await self.until(lambda: "edge pass" in self.fake.log)
        self.fake.holding.assert_awaited()

    async def test_an_announcement_that_waited_in_the_queue_ends_with_novas_outcome(self):
        manager = self.manager()
        self.fake.nova = MigrationState.COMPLETED
        self.fake.guest_up.set()
        await manager.begin(ID, "a", "b", time.time(), behind=3600.0)
        await self.until(lambda: not manager.live())
        self.assertIs(self.last().outcome, OutcomeKind.COMPLETED)
        self.assertEqual([math.inf], self.fake.lasts)  # an outcome of any time counts

    async def test_a_compute_host_whose_clock_is_behind_is_believed(self):
        manager = self.manager()
        self.fake.nova = MigrationState.RUNNING
        await manager.begin(ID, "a", "b", time.time(), behind=600.0)
        await self.until(lambda: self.fake.lasts and "edge armed" in self.fake.log)
        self.assertEqual([Phase.WARMING], [record.phase for record in manager.live()])

    async def test_nova_is_not_asked_about_an_announcement_in_time(self):
        manager = self.manager()
        await manager.begin(ID, "a", "b", time.time(), behind=-600.0)
        await self.until(lambda: "edge armed" in self.fake.log)
        self.assertEqual([], self.fake.lasts)

    async def test_nova_hears_for_how_long_the_handover_lasts(self):
        manager = self.manager(ask_nova_after=0.01)
        await manager.begin(ID, "a", "b", time.time() - 7.0)
        await self.until(lambda: self.fake.lasts)
        self.assertTrue(7.0 <= self.fake.lasts[0] < 7.0 + LIMIT)
