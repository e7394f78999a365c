"""The backlog returns every write once and in order, from memory or from disk."""

from __future__ import annotations

import asyncio
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.journal.queries import write_from_row
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.replay.backlog import Backlog
from nova_cachemig.model.write import AcceptedWrite, Body


def make(position: int) -> AcceptedWrite:
    return AcceptedWrite("shop", position, 1.0, "POST", "/", "h", (), Body.of(b"x"), "c")


def row(position: int) -> tuple[object, ...]:
    return tuple(to_row(make(position)).values())


class BacklogTest(unittest.TestCase):
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.sampled_from(["accept", "accept many", "take", "report late"]), max_size=60),
           st.integers(0, 80))  # fmt: skip
    def test_once_and_in_order(self, steps: list[str], before: int) -> None:
        """``report late``: a read sees the write on disk before the backlog gets it."""
        asyncio.run(self.play(steps, before))

    async def play(self, steps: list[str], before: int) -> None:
        disk = list(range(1, before + 1))
        unreported: list[int] = []
        taken: list[int] = []

        async def read(after: int, limit: int) -> list[tuple[object, ...]]:
            await asyncio.sleep(0)
            return [row(p) for p in disk if p > after][:limit]

        backlog = Backlog(read, write_from_row, after=0, newest=before)

        def report() -> None:
            while unreported:
                backlog.push(make(unreported.pop(0)))

        for step in steps:
            if step == "take" and len(taken) < len(disk) - len(unreported):
                taken.append(await self.take(backlog))
                continue
            for _ in range(300 if step == "accept many" else 1):
                disk.append(len(disk) + 1)
                unreported.append(disk[-1])
            if step != "report late":
                report()
        report()
        async with asyncio.timeout(20):
            while len(taken) < len(disk):
                taken.append(await self.take(backlog))
        self.assertEqual(disk, taken)

    async def take(self, backlog: Backlog) -> int:
        while (write := await backlog.take()) is None:
            self.assertTrue(backlog.has_more())
        assert isinstance(write, AcceptedWrite)
        return write.position

    def test_nothing_to_take(self) -> None:
        async def read(after: int, limit: int) -> list[tuple[object, ...]]:
            return []  # it was discarded meanwhile

        backlog = Backlog(read, write_from_row, after=0, newest=3)
        self.assertTrue(backlog.has_more())
        self.assertIsNone(asyncio.run(backlog.take()))
        self.assertFalse(backlog.has_more())

    def test_memory_is_bounded(self) -> None:
        async def read(after: int, limit: int) -> list[tuple[object, ...]]:
            return [row(p) for p in range(after + 1, min(after + limit, 10_000) + 1)]

        backlog = Backlog(read, write_from_row, after=0, newest=0)
        for position in range(1, 10_001):
            backlog.push(make(position))
        self.assertLessEqual(len(backlog._memory), 256)
