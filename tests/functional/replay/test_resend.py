"""Writes to which the guest never responds, or not with HTTP: others must not wait for them."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from typing import Any

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, keeps_connections, reached, service
from tests.functional.replay.raw import OK, Connection, RawGuest, Responder

NOT_HTTP = {
    "garbage": b"\x15\x03\x01\0\x02\x02\x28",
    "a wrong length": b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n"
    b"connection: upgrade\r\n\r\n",
}
LENIENT = {
    "folded": (b"HTTP/1.1 200 OK\r\nX-Own: a\r\n b\r\ncontent-length: 2\r\n\r\nhi", "a b"),
    "bare LF": (b"HTTP/1.1 200 OK\nx-own: a\ncontent-length: 2\n\nhi", "a"),
    "a length and chunks": (
        b"HTTP/1.1 200 OK\r\nx-own: a\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\nhi\r\n0\r\n\r\n",
        "a",
    ),
}


class ResendTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, respond: Responder, **journal: Any) -> Writes:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.guest = RawGuest(respond)
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        writes = Writes(conf_for(directory.name, **journal))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service(honours_keys=True))
        await self.send_to(writes)
        return writes

    async def send_to(self, writes: Writes) -> None:
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))

    async def test_a_write_on_which_the_guest_dies_is_quarantined_and_others_go_on(
        self,
    ) -> None:
        async def respond(request: Connection) -> bool:
            if request.method == "DELETE":
                return False
            await request.send(OK)
            return True

        writes = await self.begin(respond, resend_tries=3)
        async with client(writes.intake_socket) as http:
            deadly = asyncio.create_task(http.delete("/a"))
            await self.guest.arrived(1)
            async with asyncio.timeout(20):
                self.assertEqual(200, (await http.post("/b", content=b"x")).status_code)
            got = await deadly
            self.assertEqual(502, got.status_code)
            status = await http.get(got.headers["location"])
        self.assertEqual("in_doubt", status.json()["state"])
        self.assertEqual((3, 1), (self.guest.count("DELETE"), self.guest.count("POST")))
        async with asyncio.timeout(5):
            await writes.drained("shop")
        self.assertEqual(1, (await writes.counts("shop")).in_doubt)

    async def test_only_the_write_on_which_the_guest_dies_is_to_blame(self) -> None:
        """Not those that were pipelined behind it."""

        async def respond(request: Connection) -> bool:
            if b"/deadly" in request.head:
                return False
            await request.send(OK)
            return True

        writes = await self.begin(respond, resend_tries=2)
        async with client(writes.intake_socket) as http:
            self.assertEqual(200, (await http.put("/first")).status_code)
            await writes.hold("shop")
            urls = ["/deadly", "/1", "/2", "/3"]
            tasks = []
            for number, url in enumerate(urls):
                tasks.append(asyncio.create_task(http.put(url)))
                await reached(writes, "waiting", number + 1)
            await self.send_to(writes)
            async with asyncio.timeout(20):
                got = await asyncio.gather(*tasks)
        self.assertEqual([502, 200, 200, 200], [response.status_code for response in got])

    async def test_a_length_that_is_too_small_does_no_harm_to_other_writes(self) -> None:
        """Some guests count characters, not bytes."""
        applied: list[bytes] = []

        async def respond(request: Connection) -> bool:
            applied.append(request.head.split(b" ")[1])
            short = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ncaf\xc3\xa9"
            await request.send(OK if applied[-1] == b"/first" else short)
            return True

        writes = await self.begin(respond)
        keeps_connections(writes)
        async with client(writes.intake_socket) as http:
            await http.put("/first")
            await writes.hold("shop")
            tasks = []
            for number in range(4):
                tasks.append(asyncio.create_task(http.put(f"/{number}")))
                await reached(writes, "waiting", number + 1)
            await self.send_to(writes)
            async with asyncio.timeout(20):
                got = await asyncio.gather(*tasks)
        self.assertEqual([200] * 4, [response.status_code for response in got])
        self.assertEqual([b"/0", b"/1", b"/2", b"/3"], list(dict.fromkeys(applied[1:])))
        self.assertEqual(0, (await writes.counts("shop")).in_doubt)

    async def test_a_pause_of_the_guest_is_no_try(self) -> None:
        dies = True
        writes: Writes

        async def respond(request: Connection) -> bool:
            if dies:
                await writes.hold("shop")
                return False
            await request.send(OK)
            return True

        writes = await self.begin(respond, resend_tries=2)
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.delete("/a"))
            async with asyncio.timeout(20):
                for number in range(1, 5):
                    await self.guest.arrived(number)
                    await reached(writes, "waiting", 1)
                    await self.send_to(writes)
                dies = False
                self.assertEqual(200, (await task).status_code)
        self.assertGreaterEqual(self.guest.count("DELETE"), 4)

    async def test_a_response_that_is_not_http_is_a_response(self) -> None:
        for name, data in NOT_HTTP.items():
            for method in ("PUT", "POST"):

                async def respond(request: Connection, data: bytes = data) -> bool:
                    await request.body()
                    await request.send(data if b"/a" in request.head else OK)
                    return True

                with self.subTest(name, method=method):
                    writes = await self.begin(respond)
                    async with client(writes.intake_socket) as http, asyncio.timeout(20):
                        got = await http.request(method, "/a", content=b"x" * 100_000)
                        self.assertEqual(502, got.status_code)
                        self.assertEqual("The server's response is invalid.", got.json()["detail"])
                        self.assertEqual(200, (await http.post("/b", content=b"x")).status_code)
                        await writes.drained("shop")
                    self.assertEqual(2, len(self.guest.heads))
                    self.assertEqual(0, (await writes.counts("shop")).in_doubt)

    async def test_what_a_proxy_passes_is_passed(self) -> None:
        for name, (data, value) in LENIENT.items():

            async def respond(request: Connection, data: bytes = data) -> bool:
                await request.send(data)
                return True

            with self.subTest(name):
                writes = await self.begin(respond)
                async with client(writes.intake_socket) as http:
                    got = [await http.put("/a") for _ in range(3)]
                self.assertEqual(
                    [(200, "hi", value)] * 3,
                    [(r.status_code, r.text, r.headers["x-own"]) for r in got],
                )
                self.assertEqual(3, len(self.guest.heads))

    async def test_a_condition_that_fails_because_the_first_try_was_applied(self) -> None:
        """As when a client takes a lock by ``If-None-Match: *``: "no" would be wrong."""
        applied: list[bytes] = []

        async def respond(request: Connection) -> bool:
            body = await request.body()
            if applied:
                await request.send(b"HTTP/1.1 412 No\r\ncontent-length: 0\r\n\r\n")
                return True
            applied.append(body)
            return False  # its response is lost

        writes = await self.begin(respond)
        async with client(writes.intake_socket) as http, asyncio.timeout(20):
            got = await http.put("/lock", content=b"mine", headers={"if-none-match": "*"})
            self.assertEqual(502, got.status_code)
            self.assertEqual("in_doubt", (await http.get(got.headers["location"])).json()["state"])
            got = await http.put("/lock", content=b"mine", headers={"if-none-match": "*"})
            self.assertEqual(412, got.status_code)
        self.assertEqual([b"mine"], applied)

    async def test_a_guest_that_is_never_done_with_the_first_try(self) -> None:
        """The first try may be applied or not, and the other clients' writes wait no longer."""

        async def respond(request: Connection) -> bool:
            if b"/a" in request.head:
                await request.send(
                    b"HTTP/1.1 409 Conflict\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"
                )
            else:
                await request.send(OK)
            return True

        writes = await self.begin(respond, resend_time=0.5)
        async with client(writes.intake_socket) as http, asyncio.timeout(20):
            first = asyncio.create_task(
                http.post("/a", content=b"x", headers={"idempotency-key": '"k"'})
            )
            await self.guest.arrived(1)
            self.assertEqual(200, (await http.post("/b", content=b"x")).status_code)
            got = await first
            self.assertEqual(502, got.status_code)
            status = await http.get(got.headers["location"])
            self.assertEqual("in_doubt", status.json()["state"])
        self.assertLess(2, len(self.guest.heads))

    async def test_a_guest_that_closes_each_connection_immediately(self) -> None:
        """The agent goes on connecting, but not in a loop without a pause."""
        accepted = 0

        async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal accepted
            accepted += 1
            writer.close()

        async def respond(_request: Connection) -> bool:
            return False

        writes = await self.begin(respond)
        server = await asyncio.start_server(close, "127.0.0.1", 0)
        self.addCleanup(server.close)
        port = server.sockets[0].getsockname()[1]
        await writes.send_to("shop", Target("127.0.0.1", port))
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.put("/a"))
            await asyncio.sleep(1.0)
            self.assertLess(accepted, 60)
            await self.send_to(writes)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
