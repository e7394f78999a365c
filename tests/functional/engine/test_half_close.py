"""Clients that end their side of the connection after the request, and wait for the response."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase

METHODS = (("GET", b""), ("OPTIONS", b""), ("POST", b"x"))


class HalfClose(EngineCase):
    async def ask(self, url: str, method: str = "GET", body: bytes = b"", after: float = 0) -> str:
        """Send a request and the end; return the status of the response, or nothing."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {url} HTTP/1.1\r\nHost: shop.example\r\n{length}\r\n"
        sock = socket.create_connection(self.edge)
        # MSG_MORE: the end goes out in the segment of the request, on a busy machine too.
        sock.sendall(head.encode() + body, 0 if after else socket.MSG_MORE)
        if after:
            await asyncio.sleep(after)
        sock.shutdown(socket.SHUT_WR)
        reader, writer = await asyncio.open_connection(sock=sock)
        with contextlib.closing(writer):
            async with asyncio.timeout(20):
                line = (await reader.readline()).decode()
            return line.partition(" ")[2].partition(" ")[0]

    async def test_while_the_guest_responds(self) -> None:
        self.guest.delays["/slow"] = 0.2
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            for method, body in METHODS:
                for url, after in (("/page", 0), ("/page", 0.02), ("/slow", 0.05)):
                    with self.subTest(state=state, method=method, url=url, after=after):
                        self.assertEqual("200", await self.ask(url, method, body, after))

    async def test_a_response_that_is_stored(self) -> None:
        self.guest.rules["/page"] = {"Cache-Control": "max-age=600"}
        await self.flip(EdgeState.ARMED)
        await self.get("/page")
        self.guest.delays["/page"] = 0.2
        self.assertEqual("200", await self.ask("/page", after=0.05))
        self.assertIsNotNone(await self.found("/page"))

    async def test_a_stored_page_in_the_silence(self) -> None:
        self.guest.rules["/page"] = {"Cache-Control": "max-age=600"}
        await self.flip(EdgeState.ARMED)
        await self.stored("/page")
        before = len(self.guest.seen)
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual({"200"}, {await self.ask("/page") for _ in range(20)})
        self.assertEqual(before, len(self.guest.seen))

    async def test_what_is_held_in_the_silence(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.flip(EdgeState.SHIELDED)
        asked = [asyncio.create_task(self.ask("/held", *one)) for one in METHODS[:2] * 5]
        await self.holding(10)
        asked.append(asyncio.create_task(self.ask("/written", "POST", b"x")))
        await self.flip(EdgeState.REPLAY)
        self.assertEqual({"200"}, set(await asyncio.gather(*asked)))
        self.assertEqual(1, self.guest.count("/written"))

    async def test_a_page_and_a_write_that_wait_for_a_write(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.flip(EdgeState.DRAIN)
        await self.set_pending("url:/page", True)
        asked = [asyncio.create_task(self.ask("/page", *one)) for one in METHODS]
        await self.holding(3)
        await self.set_pending("url:/page", False)
        await self.flip(EdgeState.ARMED)
        self.assertEqual(["200"] * 3, await asyncio.gather(*asked))
