"""Guests are tried until they are reached, and a guest out of reach is reported once."""

from __future__ import annotations

import asyncio
import unittest

from nova_cachemig.agent import noop
from nova_cachemig.agent.monitor import ReachMonitor
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services.reach import ReachTable
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Route, Service, Target

ROUTE = Route(Service("shop", "uuid", 80, ("192.0.2.1", 80)), Target("10.0.0.5", 80))
LOG = "nova_cachemig.agent.monitor"


class Tester(noop.NoTester):
    def __init__(self) -> None:
        self.reach = Reach.SILENT
        self.error: ComponentError | None = None
        self.tried = 0

    async def try_guest(self, target: Target, *, timeout: float) -> Attempt:
        self.tried += 1
        if self.error is not None:
            raise self.error
        return Attempt(self.reach, "192.0.2.9")


class MonitorTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.tester, self.table = Tester(), ReachTable()
        self.monitor = ReachMonitor(lambda: (ROUTE,), self.tester, self.table)

    async def test_a_guest_out_of_reach_is_reported_once_with_the_remedy(self) -> None:
        with self.assertLogs(LOG, "WARNING") as logs:
            for _ in range(3):
                await self.monitor.check()
        self.assertEqual((1, 3), (len(logs.output), self.tester.tried))
        self.assertIn("never reached the guest at 10.0.0.5:80", logs.output[0])
        self.assertIn("--dst-port 80 --remote-ip 192.0.2.9", logs.output[0])
        self.tester.reach = Reach.REACHABLE
        with self.assertLogs(LOG, "INFO") as logs:
            for _ in range(3):
                await self.monitor.check()
        self.assertEqual((1, 4), (len(logs.output), self.tester.tried))
        self.assertIn("is reachable", logs.output[0])

    async def test_an_address_that_cannot_be_tried(self) -> None:
        self.tester.error = ComponentError("not an IP address")
        with self.assertLogs(LOG, "WARNING") as logs:
            await self.monitor.check()
        self.assertIn("the connection failed (not an IP address)", logs.output[0])

    async def test_thousands_of_guests_take_few_tasks(self) -> None:
        most = 0
        routes = tuple(
            Route(Service(f"s{n}", f"u{n}", n, ("192.0.2.1", 80)), Target("10.0.0.5", n))
            for n in range(1, 3000)
        )

        class Counting(Tester):
            async def try_guest(self, target: Target, *, timeout: float) -> Attempt:
                nonlocal most
                most = max(most, len(asyncio.all_tasks()))
                await asyncio.sleep(0)
                return await super().try_guest(target, timeout=timeout)

        tester = Counting()
        tester.reach = Reach.REACHABLE
        await ReachMonitor(lambda: routes, tester, self.table).check()
        self.assertEqual(len(routes), tester.tried)
        self.assertTrue(all(self.table.reached(one) for one in routes))
        self.assertLess(most, 300)

    async def test_new_routes_are_tried_at_once(self) -> None:
        self.tester.reach = Reach.REACHABLE
        task = asyncio.create_task(self.monitor.watch(3600.0))
        async with asyncio.timeout(5):
            for tried in (1, 2):
                while self.tester.tried < tried:  # noqa: ASYNC110 - the tester sends no event
                    await asyncio.sleep(0)
                self.table.keep([])
                self.monitor.wake()
        task.cancel()
        self.assertEqual(2, self.tester.tried)

    async def test_it_watches_until_it_is_cancelled(self) -> None:
        self.tester.reach = Reach.REACHABLE
        task = asyncio.create_task(self.monitor.watch(0.0))
        async with asyncio.timeout(5):
            while not self.table.reached(ROUTE):  # noqa: ASYNC110 - the table sends no event
                await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
