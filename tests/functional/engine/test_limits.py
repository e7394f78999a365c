"""Clients above a limit get a response immediately, and the others do not notice."""

from __future__ import annotations

import asyncio
import contextlib

from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import connect, exchange

CLIENTS = 12
REFUSED = 10  # so many get 503, further ones are closed


class ManyClients(EngineCase):
    options = {"max_clients": CLIENTS}

    async def kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and leave it idle after a request."""
        reader, writer = await connect(self.edge)
        self.addCleanup(writer.close)
        self.assertEqual(200, (await exchange(reader, writer, "/a", "GET", None, b"")).status)
        return reader, writer

    async def test_a_client_too_many(self) -> None:
        kept = [await self.kept() for _ in range(CLIENTS)]
        for _ in range(3):
            response = await self.get("/b", timeout=10)
            self.assertEqual((503, "5"), (response.status, response.headers["retry-after"]))
            self.assertEqual("close", response.headers["connection"])
        for reader, writer in kept:
            response = await exchange(reader, writer, "/c", "GET", None, b"")
            self.assertEqual(200, response.status)
        self.assertEqual((0, CLIENTS), (self.guest.count("/b"), self.guest.count("/c")))
        kept[0][1].close()
        async with asyncio.timeout(10):
            while (await self.get("/d")).status == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def test_connections_that_ask_for_nothing(self) -> None:
        kept = [await self.kept() for _ in range(CLIENTS)]
        for _ in range(REFUSED):
            _, writer = await connect(self.edge)
            self.addCleanup(writer.close)
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                reader, writer = await connect(self.edge)
                self.addCleanup(writer.close)
                self.assertEqual(b"", await asyncio.wait_for(reader.read(), 5))
        for reader, writer in kept:
            response = await exchange(reader, writer, "/c", "GET", None, b"")
            self.assertEqual(200, response.status)
