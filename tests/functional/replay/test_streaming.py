"""Responses that the agent cannot keep: the client that waits gets them as they arrive."""

from __future__ import annotations

import asyncio
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any

import httpx

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, keeps_connections, reached, service
from tests.functional.replay.raw import OK, Connection, RawGuest

LIMIT = 1 << 20  # [journal] max_response
SIZE = 3 * LIMIT + 1
FRAMINGS = ("length", "chunked", "close")
OWNER = "X-Cachemig-Client"


class StreamingTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.body = os.urandom(SIZE)
        self.framing = "length"
        self.first = SIZE  # bytes of the body that the guest sends before ``go_on``
        self.whole = True  # else the connection ends behind them
        self.last = b"0\r\n\r\n"  # behind the chunks
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.sent = 0  # bytes of the body that the guest could send
        self.ended = asyncio.Event()  # the agent has closed a connection on which it was sending
        self.guest = RawGuest(self.respond)
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)

    async def begin(self, **journal: Any) -> Writes:
        writes = Writes(conf_for(self.directory, max_response=LIMIT, **journal))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service(honours_keys=True))
        await self.send_to(writes)
        return writes

    async def send_to(self, writes: Writes) -> None:
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))

    async def respond(self, request: Connection) -> bool:
        await request.body()
        if b"/large" not in request.head:
            await request.send(OK)
            return True
        lines = {"length": b"content-length: %d\r\n" % len(self.body), "close": b""}
        line = lines.get(self.framing, b"transfer-encoding: chunked\r\n")
        await request.send(b"HTTP/1.1 201 Made\r\nlocation: /7\r\n" + line + b"\r\n")
        try:
            await self.send(request, self.body[: self.first])
            await self.go_on.wait()
            if not self.whole:
                return False
            await self.send(request, self.body[self.first :])
        except ConnectionError:
            self.ended.set()
            return False
        if self.framing == "chunked":
            await request.send(self.last)
        return self.framing != "close"

    async def send(self, request: Connection, data: bytes) -> None:
        for at in range(0, len(data), 50_000):
            piece = data[at : at + 50_000]
            chunked = self.framing == "chunked"
            await request.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            self.sent += len(piece)

    def assert_whole(self, response: httpx.Response) -> None:
        self.assertEqual((201, "/7"), (response.status_code, response.headers["location"]))
        self.assertNotIn("cachemig-write", response.headers)
        same = response.content == self.body
        self.assertTrue(same, f"{len(response.content)} of {SIZE} bytes")

    async def settled(self, writes: Writes) -> None:
        """Nothing waits, and no body is left on the disk."""
        async with asyncio.timeout(10):
            await writes.drained("shop")
            while list((self.directory / "spool").iterdir()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def test_a_body_above_the_limit_reaches_the_client_that_waits(self) -> None:
        writes = await self.begin()
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            for self.framing in FRAMINGS:
                for method in ("PUT", "POST"):
                    with self.subTest(framing=self.framing, method=method):
                        self.assert_whole(await http.request(method, "/large", content=b"x"))
        self.assertEqual(6, len(self.guest.heads))
        await self.settled(writes)

    async def test_the_next_write_does_not_wait_for_it(self) -> None:
        writes = await self.begin()
        self.first = 2 * LIMIT
        self.go_on.clear()
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            large = asyncio.create_task(http.put("/large"))
            await self.guest.arrived(1)
            self.assertEqual(200, (await http.post("/next", content=b"x")).status_code)
            await writes.drained("shop")
            self.assertFalse(large.done())
            await writes.hold("shop")  # the next pause
            self.go_on.set()
            self.assert_whole(await large)

    async def test_a_repetition_is_told_that_the_body_is_not_kept(self) -> None:
        writes = await self.begin()
        key = {"idempotency-key": '"k"'}
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            self.assert_whole(await http.post("/large", content=b"x", headers=key))
            again = await http.post("/large", content=b"x", headers=key)
        self.assertEqual((409, "/7"), (again.status_code, again.headers["location"]))
        self.assertIn("with 201", again.json()["detail"])
        self.assertEqual(1, len(self.guest.heads))

    async def test_a_status_url_has_the_head(self) -> None:
        writes = await self.begin(hold_timeout=0.0)
        self.body = os.urandom(30 << 20)
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            late = await http.put("/large")
            self.assertEqual(202, late.status_code)
            await reached(writes, "responded", 1)
            await self.ended.wait()  # no client reads the body
            got = await http.get(late.headers["location"])
        self.assertEqual((201, b""), (got.status_code, got.content))
        self.assertIn("too large to keep", got.headers["cachemig-write"])
        await self.settled(writes)

    async def test_a_client_that_leaves_ends_the_guests_connection(self) -> None:
        writes = await self.begin()
        self.body = os.urandom(30 << 20)
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            async with http.stream("PUT", "/large") as response:
                self.assertEqual(201, response.status_code)
            await self.ended.wait()
        await self.settled(writes)

    async def test_a_client_that_reads_slowly_slows_the_guest(self) -> None:
        writes = await self.begin()
        self.body = os.urandom(40 << 20)
        async with (
            asyncio.timeout(30),
            client(writes.intake_socket) as http,
            http.stream("PUT", "/large") as response,
        ):
            await writes.drained("shop")
            sent = -1
            while sent != self.sent:
                sent = self.sent
                await asyncio.sleep(0.3)
            self.assertLess(self.sent, 30 << 20)  # the rest does not fit into the buffers
            got = b"".join([chunk async for chunk in response.aiter_raw()])
        self.assertEqual(len(self.body), len(got))
        await self.settled(writes)

    async def test_a_body_that_takes_too_long(self) -> None:
        """It holds up the later writes no longer; the client gets it nevertheless."""
        writes = await self.begin(response_time=0.3)
        self.first = 5
        self.go_on.clear()
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            large = asyncio.create_task(http.put("/large"))
            await reached(writes, "responded", 1)
            self.assertFalse(large.done())
            self.go_on.set()
            self.assert_whole(await large)
        await self.settled(writes)

    async def test_the_guest_gets_the_whole_request(self) -> None:
        """It may respond while it reads."""
        writes = await self.begin()

        async def echo(request: Connection) -> bool:
            await request.send(b"HTTP/1.1 201 Made\r\nlocation: /7\r\n\r\n")
            await request.send(self.body[: 2 * LIMIT])
            got = await request.body()
            await request.send(got[2 * LIMIT :])
            return False

        self.guest.respond = echo
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            self.assert_whole(await http.put("/large", content=self.body))
        await self.settled(writes)

    async def test_a_body_that_breaks_off(self) -> None:
        """The status is known: the write is sent once, and its client gets what there is."""
        writes = await self.begin()
        self.whole = False
        async with asyncio.timeout(30):
            for self.framing in ("length", "chunked"):
                for self.first in (0, 10, 200_000, 2 * LIMIT):
                    for method in ("PUT", "DELETE", "POST"):
                        with self.subTest(framing=self.framing, first=self.first, method=method):
                            await self.check_broken(writes, method)
        self.assertEqual(0, (await writes.counts("shop")).in_doubt)
        await self.settled(writes)

    async def test_a_body_that_is_no_longer_http(self) -> None:
        """As one that breaks off: the status was there before."""
        writes = await self.begin()
        self.framing = "chunked"
        async with asyncio.timeout(30):
            for self.last in (b"none\r\n", b"0\r\n" + b"x: y\r\n" * 400):
                for size in (0, 10, 200_000, 2 * LIMIT):
                    self.first, self.body = size, os.urandom(size)
                    for method in ("PUT", "DELETE", "POST"):
                        with self.subTest(last=self.last[:9], size=size, method=method):
                            await self.check_broken(writes, method)
        self.assertEqual(0, (await writes.counts("shop")).in_doubt)
        await self.settled(writes)

    async def test_a_lost_body_is_not_taken_for_an_empty_one(self) -> None:
        """Other writes are in flight behind the one with the large body."""
        writes = await self.begin()
        keeps_connections(writes)
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            await http.put("/first")
            await writes.hold("shop")
            tasks = []
            for number, url in enumerate(("/large", "/1", "/2")):
                tasks.append(asyncio.create_task(http.put(url, headers={OWNER: url})))
                await reached(writes, "waiting", number + 1)
            await self.send_to(writes)
            large, *others = await asyncio.gather(*tasks)
        self.assertEqual([200, 200], [got.status_code for got in others])
        self.assertEqual((502, "/7"), (large.status_code, large.headers["location"]))
        self.assertIn(
            f"with 201, but its body was too large to keep (more than {LIMIT} bytes)",
            large.json()["detail"],
        )
        self.assertEqual(1, sum(b"/large" in head for head in self.guest.heads))
        await self.settled(writes)

    async def check_broken(self, writes: Writes, method: str) -> None:
        before = self.guest.count(method)
        key = {"idempotency-key": f'"{len(self.guest.heads)}"'} if method == "POST" else {}
        got = b""
        async with client(writes.intake_socket) as http:
            async with http.stream(method, "/large", content=b"x", headers=key) as response:
                self.assertEqual(201, response.status_code)
                with self.assertRaises(httpx.RemoteProtocolError):
                    async for chunk in response.aiter_raw():
                        got += chunk
            self.assertEqual(before + 1, self.guest.count(method))
            same = got == self.body[: self.first]
            self.assertTrue(same, f"{len(got)} of {self.first} bytes")
            if key:
                again = await http.post("/large", content=b"x", headers=key)
                self.assertEqual(409, again.status_code)
                self.assertIn("with 201", again.json()["detail"])
