"""The manager with recording components: each handover ends."""

import time
from unittest import mock

from nova_cachemig.agent import ports
from nova_cachemig.agent.manager import performer
from nova_cachemig.agent.ports import ComponentError, MigrationState
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from tests.unit.agent.manager.case import ManagerCase


class EndingsTest(ManagerCase):
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
