"""Fake components of an agent that record their calls."""

import asyncio

from nova_cachemig.agent import ports
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.ports import MigrationState
from nova_cachemig.model.reads import ReadCounts
from nova_cachemig.model.service import Route, Service, Target

SERVICE = Service("shop", "uuid", 80, ("192.0.2.1", 80))
ROUTE = Route(SERVICE, Target("192.0.2.9", 80))


class FakeComponents:
    """All components in one; ``log`` lists the calls in their order."""

    cache_socket = intake_socket = ""

    def __init__(self):
        self.log = []
        self.saved = []
        self.disk = {}
        self.guest_up = asyncio.Event()
        self.guest_silent = asyncio.Event()
        self.warm_done = asyncio.Event()
        self.journal_empty = asyncio.Event()
        self.journal_empty.set()
        self.quarantined = asyncio.Event()
        self.quarantined.set()
        self.nova = MigrationState.UNKNOWN
        self.lasts = []
        self.open_error = None
        self.left = []
        self.held = 0
        self.passed = 0
        self.holding_calls = 0
        self.reads = {}

    def components(self, **limits):
        values = {"warm": 5.0, "ask_nova_after": 60.0, "deadline": 3600.0} | limits
        return Components(self, self, self, self, self, self, Timeouts(**values))

    async def set_state(self, service, state):
        self.log.append(f"edge {state.value}")

    async def resend_lost(self, service):
        self.log.append("resend_lost")

    async def overtaken(self, service):
        return self.passed

    async def holding(self, service):
        self.holding_calls += 1
        return self.held

    async def counts(self, service):
        self.log.append("counts")
        return ports.EdgeCounts()

    def read_counts(self, service):
        return self.reads.get(service, ReadCounts())

    async def open(self, service):
        if self.open_error:
            raise self.open_error
        self.log.append("open")

    async def send_to(self, service, target):
        self.log.append("send")

    async def hold(self, service):
        self.log.append("hold")

    async def caught_up(self, service):
        await self.journal_empty.wait()

    async def seal(self, service, patience):
        await self.caught_up(service)

    async def give_up(self, service):
        self.log.append("give_up")
        await self.quarantined.wait()

    async def unseal(self, service):
        self.log.append("unseal")

    async def close(self, service):
        self.log.append("close")

    async def warm(self, service, *, deadline):
        await self.warm_done.wait()
        return ports.WarmCounts(2, 2)

    def warm_counts(self, service):
        return ports.WarmCounts(2, 2)

    def verdict(self, service, host, url):
        return "changing"

    async def keep_warm(self, service):
        await asyncio.Event().wait()

    async def wait_reachable(self, target, *, interval):
        await self.guest_up.wait()

    async def wait_silent(self, target, *, interval):
        await self.guest_silent.wait()

    def expect(self, target):
        """Do nothing: nothing is probed."""

    async def save(self, record, *, replaces=None):
        self.saved.append(record)
        self.disk.pop(replaces, None)
        self.disk[record.id] = record

    async def unfinished(self):
        return self.left

    async def migration_state(self, instance, lasts):
        self.lasts.append(lasts)
        return self.nova
