"""Responses without an end: they block no other write, and take no memory."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import unittest
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, service
from tests.functional.replay.raw import OK, Connection, RawGuest

HEAD = b"HTTP/1.1 200 OK\r\nx-own: yes\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n"

Pieces = Callable[[], Iterable[bytes]]

# The pieces that a guest sends without a pause, and the status that the client gets: the guest's if
# the head was complete.
ENDLESS: dict[str, tuple[Pieces, int]] = {
    "fields": (lambda: itertools.chain([HEAD], itertools.repeat(b"x: y\r\n" * 1000)), 502),
    "large fields": (
        lambda: itertools.chain([HEAD], itertools.repeat(b"x: " + b"y" * 9000 + b"\r\n")),
        502,
    ),
    "one field": (lambda: itertools.chain([HEAD, b"x: "], itertools.repeat(b"y" * 60000)), 502),
    "one name": (lambda: itertools.chain([HEAD], itertools.repeat(b"y" * 60000)), 502),
    "trailers": (
        lambda: itertools.chain([CHUNKED, b"0\r\n"], itertools.repeat(b"x: y\r\n" * 1000)),
        200,
    ),
    "one trailer": (
        lambda: itertools.chain([CHUNKED, b"0\r\nx: "], itertools.repeat(b"y" * 60000)),
        200,
    ),
    "a chunk's extension": (
        lambda: itertools.chain([CHUNKED, b"2;a="], itertools.repeat(b"y" * 60000)),
        200,
    ),
    "interim responses": (
        lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
        502,
    ),
    "chunks": (
        lambda: itertools.chain([CHUNKED], itertools.repeat(b"8\r\nabcdefgh\r\n" * 200)),
        200,
    ),
    "body": (lambda: itertools.chain([HEAD, b"\r\n"], itertools.repeat(b"z" * 60000)), 200),
}

# The same with pauses between the pieces.
SLOW: dict[str, tuple[Pieces, int]] = {
    "head": (lambda: itertools.chain([HEAD, b"x: "], itertools.repeat(b"y")), 502),
    "interim responses": (lambda: itertools.repeat(b"HTTP/1.1 102 Processing\r\n\r\n"), 502),
    "body": (lambda: itertools.chain([HEAD, b"\r\n"], itertools.repeat(b"z")), 200),
    "trailers": (lambda: itertools.chain([CHUNKED, b"0\r\nx: "], itertools.repeat(b"y")), 200),
}


class BoundsTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, pieces: Pieces, pause: float, **journal: Any) -> Writes:
        """The guest responds to PUT with these pieces, and to all else immediately."""

        async def respond(request: Connection) -> bool:
            if request.method != "PUT":
                await request.send(OK)
                return True
            async for piece in paused(pieces(), pause):
                await request.send(piece)
            return True

        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.guest = RawGuest(respond)
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        writes = Writes(conf_for(directory.name, **journal))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service())
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        return writes

    async def check(self, pieces: Pieces, status: int, pause: float, **journal: Any) -> None:
        """The PUT gets ``status``, is not sent again, and the next write follows."""
        writes = await self.begin(pieces, pause, **journal)
        async with client(writes.intake_socket) as http, asyncio.timeout(60):
            # A client that waits gets a body without an end, as it would from the guest.
            request = http.build_request("PUT", "/a")
            first = asyncio.create_task(http.send(request, stream=True))
            await self.guest.arrived(1)
            self.assertEqual(200, (await http.post("/b", content=b"x")).status_code)
            got = await first
            await writes.drained("shop")
            await got.aclose()
        self.assertEqual(status, got.status_code)
        self.assertEqual(status == 502, "responded; " in got.headers.get("cachemig-write", ""))
        self.assertEqual((1, 0), (self.guest.count("PUT"), (await writes.counts("shop")).in_doubt))

    async def test_endless(self) -> None:
        for name, (pieces, status) in ENDLESS.items():
            with self.subTest(name):
                await self.check(pieces, status, 0.0, max_response=1 << 20)

    async def test_slow(self) -> None:
        for name, (pieces, status) in SLOW.items():
            with self.subTest(name):
                await self.check(pieces, status, 0.05, response_time=0.5)

    async def test_the_time_of_a_pause_does_not_count(self) -> None:
        pieces = [CHUNKED, b"1\r\n!\r\n", b"0\r\n\r\n"]
        writes = await self.begin(lambda: pieces, 0.3, response_time=0.7)
        async with client(writes.intake_socket) as http, asyncio.timeout(60):
            first = asyncio.create_task(http.put("/a"))
            await self.guest.arrived(1)
            await writes.hold("shop")
            await asyncio.sleep(0.2)
            await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            got = await first
        self.assertEqual((200, "hi!"), (got.status_code, got.text))

    async def test_trailers_are_no_fields(self) -> None:
        data = CHUNKED + b"0\r\nset-cookie: t=1\r\nx-own: other\r\n\r\n"
        writes = await self.begin(lambda: [data], 0.0)
        async with client(writes.intake_socket) as http, asyncio.timeout(60):
            got = await http.put("/a")
        self.assertEqual((200, "hi", "yes"), (got.status_code, got.text, got.headers["x-own"]))
        self.assertNotIn("set-cookie", got.headers)


async def paused(pieces: Iterable[bytes], pause: float) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(pause)  # also without a pause: the agent runs in this loop too
