"""Updates of the engine: many writes per update, and no write waits for a dead engine."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Mapping, Sequence
from unittest import mock

from nova_cachemig.agent.intake import barrier
from nova_cachemig.agent.intake.barrier import ReadBarrier


class Engine:
    def __init__(self) -> None:
        self.updates: list[tuple[object, ...]] = []
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
        self.updates += [("invalidate", host, *urls) for host, urls in stale.items() if urls]
        self.updates += list(pending.items())


class ReadBarrierTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.engine = Engine()
        self.barrier = ReadBarrier(self.engine, "shop")

    async def hold(self, name: object, url: str, of: ReadBarrier | None = None) -> None:
        held = asyncio.Event()
        (of or self.barrier).hold(name, "h", url, "me", held.set)
        await held.wait()

    async def test_many_writes_share_an_update(self) -> None:
        await asyncio.gather(*(self.hold(n, f"/{n % 3}") for n in range(30)))
        calls = [call for call in self.engine.updates if call[0] == "invalidate"]
        self.assertEqual([("invalidate", "h", "/0", "/1", "/2")], calls)
        self.assertEqual(1, self.engine.updates.count(("client:me", True)))
        for n in range(29):
            self.barrier.release(n, "h", (f"/{n % 3}",), lambda: None)
        await self.barrier.flush()
        self.assertNotIn(("client:me", False), self.engine.updates)
        self.barrier.release(29, "h", ("/2", "/also"), lambda: None)
        await self.barrier.flush()
        self.assertEqual(
            [("invalidate", "h", "/2", "/also"), ("url:/2", False), ("client:me", False)],
            self.engine.updates[-3:],
        )

    async def test_releases_gather_and_new_writes_do_not_wait_for_them(self) -> None:
        for n in range(10):
            await self.hold(n, f"/{n}")
        with mock.patch.object(barrier, "_GATHER", 60):
            async with asyncio.timeout(5):
                await self.hold("new", "/new")
        before = self.engine.calls
        with mock.patch.object(barrier, "_GATHER", 0.2):
            for n in range(10):
                self.barrier.release(n, "h", (f"/{n}",), lambda: None)
                await asyncio.sleep(0)
            await self.barrier.flush()
        self.assertLessEqual(self.engine.calls - before, 2)
        self.assertEqual(10, sum(call[1:] == (False,) for call in self.engine.updates))

    async def test_clients_go_on_only_after_the_update(self) -> None:
        await self.hold(1, "/")
        self.engine.dead.clear()
        released = asyncio.Event()
        self.barrier.release(1, "h", ("/",), released.set)
        await asyncio.sleep(0)
        self.assertFalse(released.is_set())
        self.engine.dead.set()
        await self.barrier.flush()
        self.assertTrue(released.is_set())

    async def test_no_write_waits_for_an_engine_that_fails_or_hangs(self) -> None:
        self.engine.broken = True
        await self.hold(1, "/")
        self.engine.broken = False
        self.engine.dead.clear()
        with mock.patch.object(barrier, "_TIMEOUT", 0.01):
            await self.hold(1, "/")
        self.assertEqual(2, self.barrier.failed)

    async def test_an_update_that_the_engine_refused_is_sent_later(self) -> None:
        await self.hold(1, "/")
        self.engine.broken = True
        with mock.patch.object(barrier, "_RETRY", 0.01):
            self.barrier.release(1, "h", ("/",), lambda: None)
            await self.barrier.flush()
            self.assertNotIn(("client:me", False), self.engine.updates)
            self.engine.broken = False
            async with asyncio.timeout(5):
                while ("client:me", False) not in self.engine.updates:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    async def test_no_engine(self) -> None:
        alone = ReadBarrier(None, "shop")
        await self.hold(1, "/", alone)
        released: list[int] = []
        alone.release(1, "h", ("/",), lambda: released.append(1))
        self.assertEqual([1], released)

    async def test_a_write_is_released_under_its_new_name(self) -> None:
        await self.hold("request", "/")
        self.barrier.rename("request", 1)
        self.barrier.release("request", "h", ("/",), lambda: None)
        await self.barrier.flush()
        self.assertNotIn(("url:/", False), self.engine.updates)
        self.barrier.release(1, "h", ("/",), lambda: None)
        await self.barrier.flush()
        self.assertIn(("url:/", False), self.engine.updates)

    async def test_only_some_writes_go_on_holding_reads(self) -> None:
        for number, url in enumerate(("/a", "/a", "/b")):
            await self.hold(number, url)
        self.barrier.keep_only(lambda name: name == 1)
        await self.barrier.flush()
        self.barrier.release(0, "h", ("/a",), lambda: None)  # it was released already
        await self.barrier.flush()
        self.assertIn(("url:/b", False), self.engine.updates)
        self.assertNotIn(("url:/a", False), self.engine.updates)
        self.assertNotIn(("client:me", False), self.engine.updates)
