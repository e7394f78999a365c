"""Pipelined writes: their order, and the consequences of a broken connection."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import unittest
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, keeps_connections, reached, service

Ask = Callable[..., Coroutine[Any, Any, httpx.Response]]


class PipelineTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        self.tasks: list[asyncio.Task[httpx.Response]] = []

    @contextlib.asynccontextmanager
    async def opened(self, **journal: Any) -> AsyncIterator[tuple[Writes, Ask]]:
        """Return a write path to a guest that was prompt once, and does not respond now."""
        writes = Writes(conf_for(self.directory, **journal))
        await writes.start()
        await writes.open(service())
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        keeps_connections(writes)
        try:
            async with client(writes.intake_socket) as http:

                async def ask(method: str, url: str, who: str) -> httpx.Response:
                    headers = {"X-Cachemig-Client": who}
                    return await http.request(method, url, content=url, headers=headers)

                await ask("PUT", "/first", "c0")
                self.guest.gate.clear()
                yield writes, ask
                self.guest.gate.set()
                await asyncio.gather(*self.tasks)
        finally:
            await writes.stop()

    async def accept(self, writes: Writes, ask: Ask, *requests: tuple[str, str, str]) -> None:
        for request in requests:
            accepted = (await writes.counts("shop")).accepted
            self.tasks.append(asyncio.create_task(ask(*request)))
            await reached(writes, "accepted", accepted + 1)

    def urls(self) -> list[str]:
        return [taken.url for taken in self.guest.log]

    async def test_they_are_sent_behind_each_other_in_order(self) -> None:
        wanted = [f"/{n}" for n in range(12)]
        async with self.opened(pipeline=8) as (writes, ask):
            await self.accept(writes, ask, *(("PUT", url, url) for url in wanted))
            await reached(writes, "in_flight", 8)
            self.assertEqual(4, (await writes.counts("shop")).waiting)
        self.assertEqual(["/first", *wanted], self.urls())
        self.assertEqual(1, self.guest.connections)

    async def test_one_at_a_time_if_the_operator_wants_it(self) -> None:
        async with self.opened(pipeline=1) as (writes, ask):
            await self.accept(writes, ask, ("PUT", "/a", "c1"), ("PUT", "/b", "c2"))
            self.assertEqual(1, (await writes.counts("shop")).in_flight)

    async def test_nothing_behind_a_write_that_must_not_be_sent_twice(self) -> None:
        async with self.opened() as (writes, ask):
            await self.accept(
                writes, ask, ("PUT", "/a", "c1"), ("POST", "/b", "c2"), ("PUT", "/c", "c3")
            )
            await reached(writes, "in_flight", 1)
            self.assertEqual(2, (await writes.counts("shop")).waiting)
        self.assertEqual(["/first", "/a", "/b", "/c"], self.urls())

    async def test_a_broken_connection_sends_all_again_then_one_at_a_time(self) -> None:
        async with self.opened() as (writes, ask):
            await self.accept(writes, ask, *(("PUT", f"/{n}", f"c{n}") for n in range(4)))
            await reached(writes, "in_flight", 4)
            self.guest.drop_after_apply = 1
            self.guest.gate.set()
            await asyncio.gather(*self.tasks)
            self.assertEqual(["/first", "/0", "/0", "/1", "/2", "/3"], self.urls())
            self.guest.gate.clear()
            await self.accept(writes, ask, ("PUT", "/4", "c4"), ("PUT", "/5", "c5"))
            self.assertEqual(1, (await writes.counts("shop")).in_flight)
            self.assertEqual(0, (await writes.counts("shop")).in_doubt)

    async def test_a_guest_that_ends_the_connection_has_applied_its_responses(self) -> None:
        async with self.opened() as (writes, ask):
            await self.accept(writes, ask, *(("PUT", f"/{n}", f"c{n}") for n in range(3)))
            await self.accept(writes, ask, ("POST", "/3", "c3"))
            await reached(writes, "in_flight", 3)
            self.guest.close_after = 1
        self.assertEqual(["/first", "/0", "/1", "/2", "/3"], self.urls())

    async def test_a_connection_that_breaks_on_a_put_puts_no_post_in_doubt(self) -> None:
        async with self.opened() as (writes, ask):
            await self.accept(writes, ask, ("PUT", "/0", "c0"), ("POST", "/1", "c1"))
            await reached(writes, "in_flight", 1)
            self.guest.drop_after_apply = 1
        self.assertEqual(["/first", "/0", "/0", "/1"], self.urls())
        self.assertEqual([200, 200], [task.result().status_code for task in self.tasks])

    async def test_a_slow_guest_gets_another_connection_if_that_is_allowed(self) -> None:
        for parallel, most in ((1, 1), (4, 4)):
            with self.subTest(parallel=parallel):
                self.guest.gate.set()
                async with self.opened(pipeline=1, parallel=parallel) as (writes, ask):
                    requests = [("POST", f"/{n}", f"c{n}") for n in range(6)]
                    await self.accept(writes, ask, *requests)
                    await reached(writes, "in_flight", most)
                    await asyncio.sleep(0.1)
                    self.assertEqual(most, (await writes.counts("shop")).in_flight)
