"""From the journal to a real application: a write in doubt is sent again and applied once."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import unittest
from collections.abc import Callable

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.guest.rig import Shop
from tests.functional.replay.path import client, conf_for, reached, service


class Cut:
    """A way to the application that can be cut while a request is under way."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._ways: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refused = asyncio.Event()  # the application has responded with 409

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def cut(self) -> None:
        """Cut every connection towards the sender. The application goes on with its request."""
        for way in self._ways:
            way.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._ways.add(task)
        inward, outward = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, outward, lambda _data: None))
                group.create_task(_pump(inward, writer, self._look))
        except asyncio.CancelledError:
            pass  # cut
        finally:
            self._ways.discard(task)
            writer.transport.abort()
            outward.close()

    def _look(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 409 "):
            self.refused.set()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None]
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            look(data)
            writer.write(data)
            await writer.drain()
    writer.close()


class ReplayToFlaskTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def shop(self, **environment: str) -> Shop:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        shop = Shop("flask", directory.name, **environment)
        self.addCleanup(shop.end)
        shop.start()
        return shop

    async def begin(self, port: int) -> Writes:
        """Start a write path whose service honours keys, and whose guest counts as reachable."""
        writes = Writes(conf_for(self.directory))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service(honours_keys=True))
        await writes.send_to("shop", Target("127.0.0.1", port))
        return writes

    async def dies_when_it_has_responded(self, shop: Shop) -> None:
        """POST, let the application die after it applied the write, and start it again."""
        writes = await self.begin(shop.port)
        async with client(writes.intake_socket) as http:
            asked = asyncio.create_task(http.post("/orders", content=b"apple"))
            await asyncio.to_thread(shop.died)
            shop.start()
            response = await asked
        self.assertEqual((201, b"applied apple"), (response.status_code, response.content))
        await writes.drained("shop")
        self.assertEqual(0, (await writes.counts("shop")).in_doubt)

    async def test_the_application_dies_before_its_response_is_sent(self) -> None:
        shop = self.shop()
        shop.die_at("stored")
        await self.dies_when_it_has_responded(shop)
        self.assertEqual([b"apple"], shop.log())

    async def test_without_the_middleware_it_is_doubled(self) -> None:
        # The check itself: the owner says that the application honours keys, and it does not.
        shop = self.shop(guarded="no")
        shop.die_at("applied")
        await self.dies_when_it_has_responded(shop)
        self.assertEqual([b"apple", b"apple"], shop.log())

    async def test_the_connection_is_lost_while_the_application_works(self) -> None:
        shop = self.shop()
        way = Cut(shop.port)
        await way.start()
        self.addAsyncCleanup(way.stop)
        writes = await self.begin(way.port)
        async with client(writes.intake_socket) as http:
            with shop.waiting():
                asked = asyncio.create_task(http.post("/orders", content=b"apple"))
                await asyncio.to_thread(shop.arrived)
                way.cut()
                await way.refused.wait()  # it is sent again immediately, and gets a 409
                await reached(writes, "waiting", 1)
                self.assertFalse(asked.done())
            response = await asked
        self.assertEqual((201, b"applied apple"), (response.status_code, response.content))
        self.assertEqual("true", response.headers["idempotent-replayed"])
        await writes.drained("shop")
        self.assertEqual([b"apple"], shop.log())

    async def test_the_agent_restarts_with_a_write_in_flight(self) -> None:
        shop = self.shop()
        way = Cut(shop.port)
        await way.start()
        self.addAsyncCleanup(way.stop)
        writes = await self.begin(way.port)
        async with client(writes.intake_socket) as http:
            with shop.waiting():
                asked = asyncio.create_task(http.post("/orders", content=b"apple"))
                await asyncio.to_thread(shop.arrived)
                await writes.hold("shop")
                way.cut()
                await reached(writes, "waiting", 1)
                await writes.stop()
            later = await asked
            self.assertEqual(202, later.status_code)
        writes = await self.begin(shop.port)
        await writes.drained("shop")
        async with client(writes.intake_socket) as http:
            response = await http.get(later.headers["location"])
        self.assertEqual((201, b"applied apple"), (response.status_code, response.content))
        self.assertEqual([b"apple"], shop.log())
