"""Many handovers one after the other, each of another service: nothing of them is kept for ever."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent import noop, writes
from nova_cachemig.agent.journal.handovers import JournalHandoverStore
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.model.service import Route, Service, Target
from tests.functional.replay.path import client, conf_for
from tests.functional.replay.raw import OK, Connection, RawGuest

FIRST, ALL = 100, 500  # handovers until the two looks
OBJECTS = 3  # of Python, for each handover in between: the journal's rows are on disk


class SequenceTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it keeps the stack of each future
        for name, value in (("_KEEP_INTAKE", 0.0), ("_DECISION_POLL", 0.05)):
            patch = mock.patch.object(writes, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        guest = RawGuest(self.respond)
        await guest.start()
        self.addAsyncCleanup(guest.stop)
        self.target = Target("127.0.0.1", guest.port)
        self.path = Path(directory.name)
        self.writes = Writes(conf_for(directory.name), in_handover=self.in_handover)
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        self.manager = HandoverManager(
            Components(
                noop.NoEngine(),
                self.writes,
                noop.NoWarmer(),
                noop.NoProber(),
                JournalHandoverStore(self.writes.journal),
                noop.NoNova(),
                Timeouts(warm=5.0, ask_nova_after=60.0, deadline=3600.0),
            ),
            self.routes,
        )
        self.addAsyncCleanup(self.manager.stop)

    def in_handover(self) -> frozenset[str]:
        return self.manager.migrating()

    async def respond(self, request: Connection) -> bool:
        await request.body()
        await request.send(OK)
        return True

    def routes(self, instance: str) -> tuple[Route, ...]:
        service = Service(f"s{instance}", instance, 80, ("192.0.2.1", 80), hosts=(instance,))
        return (Route(service, self.target),)

    async def handover(self, number: int) -> None:
        instance = f"i{number}"
        name = HandoverId(instance, f"req-{number}")
        await self.manager.begin(name, "a", "b", time.time())
        await self.manager.wait_warm(name, 5.0)
        await self.tell(instance, EventKind.PAUSED)
        async with client(self.writes.intake_socket, f"s{instance}") as http:
            response = await http.post(f"/{number}", content=b"x")
        self.assertEqual(200, response.status_code)
        await self.tell(instance, EventKind.COMPLETED)
        async with asyncio.timeout(20):
            while self.manager.live():  # noqa: ASYNC110  the end sets no event
                await asyncio.sleep(0)

    async def tell(self, instance: str, kind: EventKind) -> None:
        request = f"req-{instance[1:]}"
        await self.manager.guest_event(GuestEvent(instance, kind, time.time(), "b", request))

    async def look(self) -> tuple[int, int]:
        """Return the numbers of Python's objects and of open files, when all is done."""
        async with asyncio.timeout(20):
            while self.writes._intakes:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        gc.collect()
        return len(gc.get_objects()), len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def test_memory_and_files_are_flat(self) -> None:
        for number in range(FIRST):
            await self.handover(number)
        objects, files = await self.look()
        for number in range(FIRST, ALL):
            await self.handover(number)
        more_objects, more_files = await self.look()
        self.assertLess(more_objects - objects, OBJECTS * (ALL - FIRST))
        self.assertLessEqual(more_files, files + 5)

    async def test_a_service_whose_intake_was_dropped_is_opened_again(self) -> None:
        for _ in range(3):
            await self.handover(1)
            await self.look()
        await self.handover(1)
