"""Writes sent immediately after a response, while the gate opens and closes."""

from __future__ import annotations

import asyncio
import random
import tempfile
import unittest

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target, WriteMode
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, reached, service

_COUNT = 400


class AtOnceTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.guests = [LoggingGuest(), LoggingGuest()]
        for guest in self.guests:
            await guest.start()
            self.addAsyncCleanup(guest.stop)
        self.writes = Writes(conf_for(directory.name, send_window=16))
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        await self.writes.open(service(writes=WriteMode.ACCEPT))

    async def queue(self, count: int) -> None:
        async with client(self.writes.intake_socket) as http:
            for number in range(count):
                response = await http.post("/", content=b"%d" % number)
                self.assertEqual(202, response.status_code)

    async def send_to(self, guest: LoggingGuest) -> None:
        await self.writes.send_to("shop", Target("127.0.0.1", guest.port))

    async def test_the_gate_closes_and_the_guest_moves_at_any_instant(self) -> None:
        await self.queue(_COUNT)
        dice = random.Random(3)
        guest = self.guests[0]
        taken: list[bytes] = []
        longest = 0.01  # seconds; a busy machine needs more to send a write
        while (await self.writes.counts("shop")).waiting:
            await self.send_to(guest)
            await asyncio.sleep(dice.uniform(0.0, longest))
            await self.writes.hold("shop")
            before = len(guest.log)
            while (await self.writes.counts("shop")).in_flight:  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
            self.assertLessEqual(len(guest.log), before + 1)  # the one in flight
            longest = longest * 1.2 if not guest.log else 0.01
            taken += guest.bodies()
            guest.log.clear()
            guest = self.guests[dice.randrange(2)]
        self.assertEqual([b"%d" % number for number in range(_COUNT)], taken)

    async def test_a_guest_that_breaks_off_and_ends_connections(self) -> None:
        guest = self.guests[0]
        await self.queue(60)
        await self.send_to(guest)
        for wanted in (10, 20, 30, 40):
            await guest.took(wanted)
            if wanted % 20:
                guest.drop_after_apply = 1
            else:
                guest.close_after = 1
        await self.writes.drained("shop")
        self.assertEqual([b"%d" % number for number in range(60)], guest.bodies())
        await reached(self.writes, "in_doubt", 2)
        self.assertEqual(2, (await self.writes.counts("shop")).in_doubt)
