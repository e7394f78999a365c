"""Turns, their order and their end."""

from __future__ import annotations

import asyncio
import unittest

from nova_cachemig.agent.manager.gate import ReleaseGate

LONG = 3600.0


class ReleaseGateTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.began: list[int] = []
        self.may_end = asyncio.Event()

    async def release(self, gate: ReleaseGate, number: int) -> None:
        async with gate.turn():
            self.began.append(number)
            await self.may_end.wait()

    def start(self, gate: ReleaseGate, numbers: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.release(gate, n)) for n in range(numbers)]

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def test_a_few_at_a_time_in_their_order(self) -> None:
        tasks = self.start(ReleaseGate(2, LONG), 5)
        await self.settle()
        self.assertEqual([0, 1], self.began)
        self.may_end.set()
        await asyncio.gather(*tasks)
        self.assertEqual([0, 1, 2, 3, 4], self.began)

    async def test_a_guest_that_takes_long_stops_nobody(self) -> None:
        gate = ReleaseGate(1, 0.0)
        tasks = self.start(gate, 3)
        async with asyncio.timeout(5):
            while len(self.began) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        self.may_end.set()
        await asyncio.gather(*tasks)
        self.may_end.clear()
        gate._turn = LONG
        tasks = self.start(gate, 2)
        await self.settle()
        self.assertEqual([0, 1, 2, 0], self.began)  # no turn was given back twice
        self.may_end.set()
        await asyncio.gather(*tasks)

    async def test_a_release_that_is_cancelled_gives_its_turn_back(self) -> None:
        tasks = self.start(ReleaseGate(1, LONG), 3)
        await self.settle()
        tasks[0].cancel()
        tasks[1].cancel()
        await self.settle()
        self.assertEqual([0, 2], self.began)
        self.may_end.set()
        await tasks[2]
