"""Guests that end the connection with, or before, their response."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import unittest

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, service
from tests.functional.replay.raw import Connection, RawGuest

SIZES = (10, 100_000, 3_000_000)  # bytes; above [journal] spool_threshold a body is in a file
SILENT_CLOSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
CLOSING = {
    "length and close": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi",
    "close without a length": b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhi",
    "chunked and close": b"HTTP/1.1 200 OK\r\nconnection: close\r\n"
    b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "HTTP/1.0 with a length": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "HTTP/1.0 without a length": b"HTTP/1.0 200 OK\r\n\r\nhi",
}


class ClosingGuestTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, respond) -> Writes:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.guest = RawGuest(respond)
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        writes = Writes(conf_for(directory.name))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service())
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        return writes

    async def post_all(self, respond, tries: int) -> None:
        """Each POST gets the guest's 200 and reaches the guest once."""
        writes = await self.begin(respond)
        async with client(writes.intake_socket) as http:
            for size in SIZES:
                got = [await http.post("/a", content=b"x" * size) for _ in range(tries)]
                self.assertEqual([(200, "hi")] * tries, [(r.status_code, r.text) for r in got])
        self.assertEqual(tries * len(SIZES), self.guest.count("POST"))
        counts = await writes.counts("shop")
        self.assertEqual((0, 0, 0), (counts.waiting, counts.in_flight, counts.in_doubt))

    async def test_the_client_gets_the_response_of_a_guest_that_closes(self) -> None:
        for name, data in CLOSING.items():

            async def respond(request: Connection, data: bytes = data) -> bool:
                await request.body()
                await request.send(data)
                return False

            with self.subTest(name):
                await self.post_all(respond, 10)

    async def test_a_guest_that_closes_unannounced(self) -> None:
        """As uvicorn with ``--timeout-keep-alive 0``. No write may be in flight to it then."""

        async def respond(request: Connection) -> bool:
            await request.body()
            await request.send(SILENT_CLOSE)
            return False

        writes = await self.begin(respond)
        async with client(writes.intake_socket) as http:
            got = await asyncio.gather(*(http.post("/a", content=b"x") for _ in range(30)))
            later = [await http.post("/a", content=b"x") for _ in range(30)]
        self.assertEqual([200] * 60, [response.status_code for response in (*got, *later)])
        self.assertEqual(60, self.guest.count("POST"))
        self.assertEqual(0, (await writes.counts("shop")).in_doubt)

    async def test_a_guest_that_responds_before_it_has_read_the_body(self) -> None:
        for name, data in CLOSING.items():

            async def respond(request: Connection, data: bytes = data) -> bool:
                await request.send(data)
                return False  # with unread bytes: the kernel resets the connection

            with self.subTest(name):
                await self.post_all(respond, 10)

    async def test_clients_see_sentences_not_python_objects(self) -> None:
        async def respond(request: Connection) -> bool:
            await request.body()
            return False

        writes = await self.begin(respond)
        with self.assertLogs("nova_cachemig.agent.replay", logging.WARNING):
            async with client(writes.intake_socket) as http:
                got = await http.post("/a", content=b"x" * 100_000)
        self.assertEqual(502, got.status_code)
        self.assertEqual(
            "The server may or may not have applied this write: "
            "the connection to the server was lost before the response was complete.",
            got.json()["detail"],
        )

    async def test_a_bug_of_the_agent_is_not_shown_to_clients(self) -> None:
        async def respond(request: Connection) -> bool:
            await asyncio.Event().wait()
            return False

        writes = await self.begin(respond)

        def broken(_name: str, _first: int = 0) -> None:
            raise RuntimeError("<TCPTransport 0x7f>")

        writes.journal.spool.read = broken
        writes.journal.spool.intact = lambda _body: True
        with self.assertLogs("nova_cachemig.agent.replay", logging.ERROR) as logs:
            async with client(writes.intake_socket) as http:
                got = await http.post("/a", content=b"x" * 100_000)
        self.assertEqual(502, got.status_code)
        self.assertNotIn("TCPTransport", got.text)
        self.assertIn("TCPTransport", "".join(logs.output))
