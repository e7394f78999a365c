"""A manager with recording components."""

import asyncio
import time
import unittest

from nova_cachemig.agent import ports
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId
from tests.unit.agent.manager.fakes import ROUTE, FakeComponents

ID = HandoverId("uuid", "req-1")
LIMIT = 60.0  # seconds: the machine may be busy


class ManagerCase(unittest.IsolatedAsyncioTestCase):
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
