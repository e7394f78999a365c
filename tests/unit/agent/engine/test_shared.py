"""Many callers, few questions."""

from __future__ import annotations

import asyncio
import unittest

from nova_cachemig.agent.engine.shared import Shared


class SharedTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.shared = Shared(self.ask)

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if number == 3:
            raise ValueError("no")
        return number

    async def test_an_answer_is_later_than_its_call(self) -> None:
        first = asyncio.create_task(self.shared.get())
        while not self.asked:  # noqa: ASYNC110
            await asyncio.sleep(0)
        others = [asyncio.create_task(self.shared.get()) for _ in range(100)]
        await asyncio.sleep(0)
        self.may_answer.set()
        self.assertEqual([1] + [2] * 100, await asyncio.gather(first, *others))

    async def test_a_cancelled_caller_takes_nothing_from_the_others(self) -> None:
        calls = [asyncio.create_task(self.shared.get()) for _ in range(2)]
        await asyncio.sleep(0)
        calls[0].cancel()
        self.may_answer.set()
        self.assertEqual(1, await calls[1])

    async def test_an_error_reaches_each_caller_and_ends_nothing(self) -> None:
        self.may_answer.set()
        await self.shared.get()
        await self.shared.get()
        found = await asyncio.gather(*(self.shared.get() for _ in range(2)), return_exceptions=True)
        self.assertEqual(["no", "no"], [str(one) for one in found])
        self.assertEqual(4, await self.shared.get())

    async def test_a_poll_rests(self) -> None:
        self.may_answer.set()
        shared, loop = Shared(self.ask, rest=0.2), asyncio.get_running_loop()
        await shared.get()
        began = loop.time()
        await shared.get()
        self.assertGreater(loop.time() - began, 0.1)
