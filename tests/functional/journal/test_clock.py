"""The wall clock steps by days both ways while writes wait, are held and get a response."""

from __future__ import annotations

import asyncio
import tempfile
import time
import unittest
from unittest import mock

from nova_cachemig.agent import writes as writes_module
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, reached, service

DAYS = 86400.0
STEPS = (0.0, 10 * DAYS, -20 * DAYS, 0.5, 400 * DAYS, -1.0, -390 * DAYS)


class ClockTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.ahead = 0.0
        real = time.time
        self.enterContext(mock.patch.object(time, "time", lambda: real() + self.ahead))
        self.enterContext(mock.patch.object(writes_module, "_DECISION_POLL", 0.01))
        self.enterContext(mock.patch.object(writes_module, "_EXPIRY_INTERVAL", 0.0))
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)

    async def begin(self, **journal: float) -> Writes:
        writes = Writes(conf_for(self.directory, **journal))
        await writes.start()
        await writes.open(service())
        return writes

    async def test_held_writes_keep_their_order_and_their_holds(self) -> None:
        writes = await self.begin(hold_timeout=20.0)
        tasks = []
        async with client(writes.intake_socket) as http:
            for number, step in enumerate(STEPS):
                tasks.append(asyncio.create_task(http.put("/a", content=b"%d" % number)))
                await reached(writes, "accepted", number + 1)
                self.ahead += step
            await asyncio.sleep(0.05)  # a hold that a step had ended would have a response by now
            self.assertFalse(any(task.done() for task in tasks))
            await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            async with asyncio.timeout(20):
                responses = await asyncio.gather(*tasks)
        self.assertEqual({200}, {response.status_code for response in responses})
        self.assertEqual([b"%d" % number for number in range(len(STEPS))], self.guest.bodies())
        await writes.stop()

    async def test_a_hold_ends_in_its_time_whatever_the_clock_shows(self) -> None:
        writes = await self.begin(hold_timeout=0.3)
        async with client(writes.intake_socket) as http:
            for step in (-10 * DAYS, 20 * DAYS):
                began = time.monotonic()
                task = asyncio.create_task(http.put("/a", content=b"x"))
                await reached(writes, "waiting", 1)
                self.ahead += step
                async with asyncio.timeout(10):
                    self.assertEqual(202, (await task).status_code)
                self.assertGreaterEqual(time.monotonic() - began, 0.29)
        await writes.stop()

    async def test_responses_and_keys_are_not_deleted_before_their_time(self) -> None:
        key = {"idempotency-key": '"one"'}
        writes = await self.begin()
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        async with client(writes.intake_socket) as http:
            for step in STEPS:
                self.assertEqual("applied 1\n", (await http.post("/a", headers=key)).text)
                self.ahead += step
                await asyncio.sleep(0.05)  # several checks for expired writes
        self.assertEqual(1, len(self.guest.log))
        await writes.stop()

    async def test_a_restart_after_a_step_finds_all_in_order(self) -> None:
        for number, step in enumerate(STEPS):
            writes = await self.begin(hold_timeout=0.0)
            async with client(writes.intake_socket) as http:
                self.assertEqual(202, (await http.put("/a", content=b"%d" % number)).status_code)
            await writes.stop()
            self.ahead += step
        writes = await self.begin()
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        async with asyncio.timeout(20):
            await writes.drained("shop")
        self.assertEqual([b"%d" % number for number in range(len(STEPS))], self.guest.bodies())
        await writes.stop()
