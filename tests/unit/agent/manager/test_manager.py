"""The manager with recording components: its calls and their order."""

import math
import time
from unittest import mock

from nova_cachemig.agent import ports
from nova_cachemig.agent.manager import manager as manager_module
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.ports import MigrationState
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from tests.unit.agent.manager.case import ID, LIMIT, ManagerCase


class ManagerTest(ManagerCase):
    async def test_a_guest_that_was_never_reached_is_not_shielded(self):
        manager = HandoverManager(
            self.fake.components(), lambda uuid: (), lambda uuid: "service shop: not reached"
        )
        with self.assertLogs("nova_cachemig.agent.manager.manager", "WARNING") as logs:
            await manager.begin(ID, "a", "b", time.time())
            response = await manager.wait_warm(ID, LIMIT)
        self.assertEqual(1, len(logs.output))
        self.assertEqual({"unreached": 1, "journal": 0}, manager.fail_opens)
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
        self.assertEqual((1, 1), (manager.ended["completed"], manager.ended.total()))
        self.assertEqual(0, manager.fail_opens.total())
        self.assertEqual(7, record.counts["hits"])
        self.assertEqual(5, record.counts["replayed"])
        self.assertEqual(0.5, record.longest_wait)
        order = [w for w in self.fake.log if w.startswith("edge")]
        self.assertEqual(
            ["edge armed", "edge armed", "edge shielded", "edge replay", "edge drain", "edge pass"],
            order,
        )

    async def test_users_that_wait_for_long_put_off_no_other_work(self):
        manager = self.manager()
        self.assertFalse(manager.users_wait())
        await self.begun(manager)
        self.fake.warm_done.set()
        await manager.wait_warm(ID, LIMIT)
        await self.until(lambda: manager.live()[0].phase is Phase.ARMED)
        self.assertFalse(manager.users_wait())
        await self.notify(manager, EventKind.PAUSED)
        await self.until(lambda: manager.live()[0].phase is Phase.SHIELDED)
        self.assertTrue(manager.users_wait())
        with mock.patch.object(manager_module, "_LONGEST_WAIT", 0.0):
            self.assertFalse(manager.users_wait())

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
        self.assertEqual((1, 1), (manager.fail_opens["journal"], manager.ended["abandoned"]))

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
        self.assertEqual((1, 1), (manager.ended["abandoned"], manager.ended.total()))

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
