"""Long POSTs: while the guest responds, no write waits for the response to another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.servers import Request, read_head, until

POLL = 10.0  # seconds for which the guest holds a long poll
PROMPT = 1.0  # seconds within which a write responds beside it
LOGIN = 0.2  # seconds that the guest needs for a log-in, most of them for the password's hash


class LongTest(ArmedCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.release = asyncio.Event()
        plain = self.guest._handler

        async def respond(request: Request) -> tuple[int, Mapping[str, str], bytes]:
            if request.url == "/http-bind" and request.body == b"poll":
                async with asyncio.timeout(POLL):
                    await self.release.wait()
            if request.url == "/http-bind" and request.body == b"data":
                self.release.set()
            return await plain(request)

        self.guest._handler = respond

    async def poll(self) -> asyncio.Task[int]:
        async def post() -> int:
            return (await self.get("/http-bind", method="POST", body=b"poll")).status

        task = asyncio.create_task(post())
        await until(lambda: self.guest.responding)
        return task

    async def test_log_ins_do_not_wait_for_a_long_poll_nor_for_each_other(self) -> None:
        poll = await self.poll()
        self.guest.delays["/login"] = LOGIN
        logins = await asyncio.gather(
            *(self.get("/login", method="POST", body=b"user", timeout=5) for _ in range(8))
        )
        self.assertEqual({200}, {login.status for login in logins})
        self.assertLess(max(login.seconds for login in logins), PROMPT)
        self.assertFalse(poll.done())
        self.release.set()
        self.assertEqual(200, await poll)

    async def test_data_of_the_same_client_ends_its_own_long_poll(self) -> None:
        """XMPP over BOSH (XEP-0124): a second POST to the URL brings the response to the first."""
        poll = await self.poll()
        data = await self.get("/http-bind", method="POST", body=b"data", timeout=5)
        self.assertEqual(200, data.status)
        self.assertLess(data.seconds, PROMPT)
        self.assertEqual(200, await poll)

    async def test_the_first_bytes_of_a_response_do_not_wait_for_the_last(self) -> None:
        self.guest.gates["/stream"] = asyncio.Event()
        self.guest.bodies["/stream"] = b"12345"
        reader, writer = await asyncio.open_connection(*self.edge)
        self.addCleanup(writer.close)
        writer.write(b"POST /stream HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(2):
            await read_head(reader)
            self.assertEqual(b"1234", await reader.readexactly(4))
        self.guest.gates["/stream"].set()
        self.assertEqual(b"5", await reader.readexactly(1))
