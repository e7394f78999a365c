"""What the engine is told, in batches, and that its death holds nobody up."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Mapping, Sequence
from unittest import mock

from nova_cachemig.agent.intake import barrier
from nova_cachemig.agent.intake.barrier import ReadBarrier


class Edge:
    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.calls = 0
        self.broken = False
        self.dead = asyncio.Event()
        self.dead.set()

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        await self.dead.wait()
        self.calls += 1
        if self.broken:
            raise ConnectionError("engine down")
        self.told += [("invalidate", host, *urls) for host, urls in stale.items() if urls]
        self.told += list(pending.items())


class EdgeMarksTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.edge = Edge()
        self.barrier = ReadBarrier(self.edge, "shop")

    async def test_many_writes_few_calls(self) -> None:
        await asyncio.gather(*(self.barrier.accepted("h", f"/{n % 3}", "me") for n in range(30)))
        calls = [call for call in self.edge.told if call[0] == "invalidate"]
        self.assertEqual([("invalidate", "h", "/0", "/1", "/2")], calls)
        self.assertEqual(1, self.edge.told.count(("client:me", True)))
        for n in range(29):
            self.barrier.answered("h", f"/{n % 3}", "me", (), lambda: None)
        await self.barrier.flush()
        self.assertNotIn(("client:me", False), self.edge.told)
        self.barrier.answered("h", "/2", "me", ("/also",), lambda: None)
        await self.barrier.flush()
        self.assertEqual(
            [("invalidate", "h", "/2", "/also"), ("url:/2", False), ("client:me", False)],
            self.edge.told[-3:],
        )

    async def test_answers_gather_and_new_writes_do_not_wait_for_them(self) -> None:
        for n in range(10):
            await self.barrier.accepted("h", f"/{n}", "me")
        with mock.patch.object(barrier, "_GATHER", 60):
            async with asyncio.timeout(5):
                await self.barrier.accepted("h", "/new", "me")
        before = self.edge.calls
        with mock.patch.object(barrier, "_GATHER", 0.2):
            for n in range(10):
                self.barrier.answered("h", f"/{n}", "me", (), lambda: None)
                await asyncio.sleep(0.001)
            await self.barrier.flush()
        self.assertLessEqual(self.edge.calls - before, 2)
        self.assertEqual(10, sum(call[1:] == (False,) for call in self.edge.told))

    async def test_released_only_when_the_engine_knows(self) -> None:
        await self.barrier.accepted("h", "/", "me")
        self.edge.dead.clear()
        released = asyncio.Event()
        self.barrier.answered("h", "/", "me", (), released.set)
        await asyncio.sleep(0)
        self.assertFalse(released.is_set())
        self.edge.dead.set()
        await self.barrier.flush()
        self.assertTrue(released.is_set())

    async def test_an_engine_that_fails_or_hangs_holds_nobody_up(self) -> None:
        self.edge.broken = True
        await self.barrier.accepted("h", "/", "me")
        self.edge.broken = False
        self.edge.dead.clear()
        with mock.patch.object(barrier, "_PATIENCE", 0.01):
            await self.barrier.accepted("h", "/", "me")
        self.assertEqual(2, self.barrier.failed)

    async def test_what_the_engine_could_not_be_told_it_is_told_later(self) -> None:
        await self.barrier.accepted("h", "/", "me")
        self.edge.broken = True
        with mock.patch.object(barrier, "_RETRY", 0.01):
            self.barrier.answered("h", "/", "me", (), lambda: None)
            await self.barrier.flush()
            self.assertNotIn(("client:me", False), self.edge.told)
            self.edge.broken = False
            async with asyncio.timeout(5):
                while ("client:me", False) not in self.edge.told:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    async def test_no_engine(self) -> None:
        alone = ReadBarrier(None, "shop")
        await alone.accepted("h", "/", "me")
        released: list[int] = []
        alone.answered("h", "/", "me", (), lambda: released.append(1))
        self.assertEqual([1], released)
