"""The manager with recording components: a guest is lost and found while a handover is live."""

import asyncio
import dataclasses

from nova_cachemig.agent.manager.components import Guests
from nova_cachemig.agent.ports import MigrationState
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.service import Route, Target
from tests.unit.agent.manager.case import ID, ManagerCase
from tests.unit.agent.manager.fakes import ROUTE, SERVICE

MOVED = Route(SERVICE, Target("192.0.2.10", 80))
UNKNOWN = Route(SERVICE, None)


class AddressesTest(ManagerCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.present = ROUTE
        self.sent, self.probed, self.reached = [], [], []
        self.confirmed = asyncio.Event()
        self.confirmed.set()
        self.asked = []
        self.fake_writes.send_to = self.send_to
        self.fake.wait_reachable = self.wait_reachable

    async def send_to(self, service, target):
        self.sent.append(target.address)

    async def wait_reachable(self, target, *, interval):
        self.probed.append(target.address)
        await self.fake.guest_up.wait()

    def confirm(self, instance):
        self.asked.append(instance)
        return asyncio.create_task(self.confirmed.wait())

    def manager(self, **limits):
        manager = super().manager(**limits)
        guests = Guests(lambda _name: self.present, self.confirm, self.reached.extend)
        manager._components = dataclasses.replace(manager._components, guests=guests)
        return manager

    def lose(self, manager):
        self.present = UNKNOWN
        manager.targets_lost([ROUTE])

    async def find(self, manager, route):
        self.present = route
        await manager.prepare([route])
        manager.targets_found([route])

    async def in_phase(self, manager, phase):
        await self.until(lambda: manager.phases().get("shop") is phase)

    async def shielded(self):
        manager = self.manager()
        await self.begun(manager)
        await self.notify(manager, EventKind.PAUSED)
        await self.in_phase(manager, Phase.SHIELDED)
        await self.until(lambda: self.probed)
        return manager

    def notes(self):
        return [decision.sentence for decision in self.last().decisions]

    async def noted(self, part):
        await self.until(lambda: any(part in sentence for sentence in self.notes()))

    async def test_each_begin_asks_nova(self):
        manager = self.manager()
        await self.begun(manager)
        self.assertEqual(["uuid"], self.asked)

    async def test_a_lost_guest_is_not_probed_until_it_is_found(self):
        manager = await self.shielded()
        self.lose(manager)
        await self.noted("nothing is sent until Nova confirms it")
        self.fake.guest_up.set()  # something else at the address responds
        self.sent.clear()
        await self.find(manager, MOVED)
        await self.until(lambda: self.sent)
        self.assertEqual((["192.0.2.9", "192.0.2.10"], ["192.0.2.10"]), (self.probed, self.sent))

    async def test_a_replay_stops(self):
        self.fake_writes.journal_empty.clear()
        manager = await self.shielded()
        self.fake.guest_up.set()
        await self.in_phase(manager, Phase.REPLAYING)
        self.sent.clear()
        self.lose(manager)
        await self.in_phase(manager, Phase.SHIELDED)
        self.assertEqual("edge shielded", [c for c in self.fake.log if c.startswith("edge")][-1])
        self.assertEqual("hold", [c for c in self.fake.log if c in {"hold", "send"}][-1])
        self.assertEqual([], self.sent)
        await self.find(manager, ROUTE)
        await self.in_phase(manager, Phase.REPLAYING)
        self.assertEqual(["192.0.2.9"], self.sent)

    async def test_a_lost_guest_of_an_armed_service_gets_nothing_from_the_journal(self):
        manager = self.manager()
        await self.begun(manager)
        self.sent.clear()
        self.lose(manager)
        await self.noted("nothing is sent until Nova confirms it")
        self.assertIn("hold", self.fake.log)
        await self.find(manager, MOVED)
        await self.until(lambda: self.sent == ["192.0.2.10"])

    async def test_a_deleted_instance_ends_its_handover(self):
        manager = await self.shielded()
        self.fake.nova = MigrationState.DELETED
        self.sent.clear()
        self.lose(manager)
        await self.until(lambda: not manager.live())
        self.assertEqual([], self.sent)
        self.assertIn("give_up", self.fake.log)

    async def test_after_a_restart_the_journal_waits_for_nova(self):
        self.confirmed.clear()
        record = HandoverRecord(ID, ("shop",), "a", "b", Phase.SHIELDED, 1.0)
        self.fake.left = [record]
        self.fake.guest_up.set()
        manager = self.manager()
        await manager.recover()
        await self.in_phase(manager, Phase.REPLAYING)
        self.assertEqual([], self.sent)
        self.lose(manager)  # Nova says so
        self.confirmed.set()
        await self.in_phase(manager, Phase.SHIELDED)
        self.assertEqual([], self.sent)

    async def test_writes_of_an_earlier_agent_are_sent_when_the_guest_is_found(self):
        async def unfinished():
            return {"shop": 2}

        self.fake_writes.unfinished = unfinished
        manager = self.manager()
        await manager.prepare([ROUTE])
        self.assertEqual(["open", "edge shielded"], self.fake.log)
        self.fake.guest_up.set()
        manager.targets_found([ROUTE])
        await self.until(lambda: self.sent == ["192.0.2.9"])
        self.assertEqual([ROUTE], self.reached)

    async def test_an_empty_handover_gives_way_to_these_writes(self):
        async def unfinished():
            return {"shop": 2}

        manager = self.manager()
        routes, manager._routes_of = manager._routes_of, lambda _instance: ()
        self.fake.left = [HandoverRecord(ID, ("shop",), "a", "b", Phase.SHIELDED, 1.0)]
        await manager.recover()
        manager._routes_of = routes
        self.fake_writes.unfinished = unfinished
        self.fake.guest_up.set()
        await self.find(manager, ROUTE)
        await self.until(lambda: self.sent == ["192.0.2.9"])
        [former] = [r for r in self.fake.saved if r.id == ID and r.outcome is not None]
        self.assertIn("the address of its guest was not known", former.decisions[-1].sentence)

    async def test_late_writes_of_a_lost_guest_without_a_handover_wait(self):
        manager = self.manager()
        self.lose(manager)
        await self.until(lambda: self.fake.log)
        self.assertEqual(["hold"], self.fake.log)

    async def test_a_lost_guest_concerns_no_other_instance(self):
        manager = await self.shielded()
        other = Route(dataclasses.replace(SERVICE, name="other", instance="u2"), ROUTE.target)
        manager.targets_lost([other])
        self.fake.guest_up.set()
        await self.in_phase(manager, Phase.REPLAYING)
        self.assertEqual(HandoverId("uuid", "req-1"), manager.live()[0].id)
