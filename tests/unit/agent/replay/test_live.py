"""A body between the guest and the client that waits for it."""

from __future__ import annotations

import asyncio
import unittest

from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.replay.live import LiveBody, Tail


class LiveBodyTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.reading: list[bool] = []
        self.aborts = 0
        self.budget = MemoryBudget(1000)
        self.body = LiveBody(self.reading.append, self.abort, self.budget)

    def abort(self) -> None:
        self.aborts += 1

    async def test_what_came_before_is_first(self) -> None:
        self.body.before = iter([b"a", b"", b"b"])
        self.body.feed(b"c")
        self.body.end(whole=True)
        tail = Tail(self.body, 3)
        self.assertEqual([b"a", b"b", b"c", b""], [await tail.read() for _ in range(4)])
        tail.close()
        self.assertEqual((0, 0), (self.budget.used, self.aborts))

    async def test_a_reader_waits(self) -> None:
        tail = Tail(self.body, None)
        reading = asyncio.create_task(tail.read())
        await asyncio.sleep(0)
        self.assertEqual([True], self.reading)
        self.body.feed(b"a")
        self.assertEqual(b"a", await reading)
        reading = asyncio.create_task(tail.read())
        await asyncio.sleep(0)
        self.body.end(whole=False)
        with self.assertRaises(EOFError):
            await reading

    async def test_the_guest_waits_for_the_reader(self) -> None:
        tail = Tail(self.body, None)
        self.body.feed(b"x" * 70_000)
        self.assertEqual([False], self.reading)
        self.assertTrue(self.budget.exceeded)
        await tail.read()
        self.assertEqual(([False], 0), (self.reading, self.budget.used))
        reading = asyncio.create_task(tail.read())
        await asyncio.sleep(0)
        self.assertEqual([False, True], self.reading)
        tail.close()
        with self.assertRaises(EOFError):
            await reading
        with self.assertRaises(EOFError):
            await tail.read()

    async def test_without_a_reader_the_connection_ends(self) -> None:
        for explicit in (True, False):
            with self.subTest(explicit=explicit):
                self.setUp()
                tail = Tail(self.body, None)
                self.body.feed(b"a")
                if explicit:
                    tail.close()
                del tail
                await asyncio.sleep(0)
                self.body.feed(b"b")
                self.assertEqual((1, 0), (self.aborts, self.budget.used))
