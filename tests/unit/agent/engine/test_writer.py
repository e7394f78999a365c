"""The exchanges of the maps' owner, with a fake of HAProxy behind it."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine.admin import AdminError, LostError
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.writer import MapWriter
from tests.unit.agent.engine.test_maps import FakeAdmin


class SlowAdmin(FakeAdmin):
    """Counts the exchanges; ``lose`` breaks the next connections after one command."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[tuple[str, ...]] = []
        self.lose = 0
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    async def exchange(self, *commands: str, repeat: bool = True) -> list[str]:
        self.exchanges.append(commands)
        await self.may_respond.wait()
        if self.lose:
            self.lose -= 1
            await super().exchange(*commands[:1])
            raise LostError("lost")
        return await super().exchange(*commands)


class WriterTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.admin = SlowAdmin()
        self.writer = MapWriter(self.admin)
        self.addAsyncCleanup(self.writer.close)
        self.map = EdgeMap(Path(folder.name) / "x.map", self.writer)

    async def test_the_wishes_of_all_tasks_go_together(self) -> None:
        await asyncio.gather(*(self.map.set(f"s{n}", "1") for n in range(200)))
        self.assertEqual(1, len(self.admin.exchanges))
        self.assertEqual(200, len(self.admin.rows))

    async def test_a_cancelled_wish_is_made_unless_another_follows(self) -> None:
        self.admin.may_respond.clear()
        tasks = [asyncio.create_task(self.map.set(key, "1")) for key in "ab"]
        while not self.admin.exchanges:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        later = asyncio.create_task(self.map.set("b", "2"))
        await asyncio.sleep(0)
        self.admin.may_respond.set()
        await later
        self.assertEqual([("a", "1"), ("b", "2")], self.admin.rows)

    async def test_after_a_lost_connection_nothing_is_added_twice(self) -> None:
        self.admin.lose = 1
        await self.map.update({"a": "1", "b": "2"})
        self.assertEqual([("a", "1"), ("b", "2")], sorted(self.admin.rows))

    async def test_what_haproxy_did_not_take_follows_when_it_responds(self) -> None:
        self.admin.failing = True
        with self.assertRaises(AdminError):
            await self.map.set("a", "1")
        self.admin.failing = False
        async with asyncio.timeout(20):
            while not self.admin.rows:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        self.assertEqual([("a", "1")], self.admin.rows)

    async def test_a_map_that_refuses_everything_is_not_asked_without_pause(self) -> None:
        self.admin._one = lambda _words: "No memory"  # type: ignore[method-assign]
        with self.assertRaisesRegex(AdminError, "No memory"):
            await self.map.set("a", "1")
        await self.writer.idle()
        self.assertLess(len(self.admin.exchanges), 10)

    async def test_a_clear_comes_before_the_later_edits(self) -> None:
        self.admin.rows = [("by HAProxy", "1")]
        self.admin.may_respond.clear()
        first = asyncio.create_task(self.map.set("a", "1"))
        while not self.admin.exchanges:  # noqa: ASYNC110
            await asyncio.sleep(0)
        tasks = [asyncio.create_task(self.map.set("b", "1"))]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(self.map.clear()))
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(self.map.set("c", "1")))
        await asyncio.sleep(0)
        self.admin.may_respond.set()
        await asyncio.gather(first, *tasks)
        self.assertEqual([("c", "1")], self.admin.rows)

    async def test_nothing_is_edited_in_a_pause(self) -> None:
        async with self.writer.paused():
            task = asyncio.create_task(self.map.set("a", "1"))
            for _ in range(10):
                await asyncio.sleep(0)
            self.assertEqual([], self.admin.exchanges)
        await task
        self.assertEqual([("a", "1")], self.admin.rows)
