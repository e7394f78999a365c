"""Requests that the edge takes from clients, and passes on: the same in every state."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import read_head

STATES = (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY)
HEAD = b"GET / HTTP/1.1\r\nHost: shop.example\r\n"
REFUSED = (
    HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Content-Length : 5\r\n\r\nhello",
    HEAD + b"Content\x00-Length: 5\r\n\r\nhello",
    HEAD + b"X\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"X-\xc3\xa9: 1\r\n\r\n",
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    HEAD + b"no colon\r\n\r\n",
    HEAD + b": no name\r\n\r\n",
    b"GET / HTTP/0.9\r\nHost: shop.example\r\n\r\n",
    b"GET / HTTP/1.2\r\nHost: shop.example\r\n\r\n",
    b"GET / HTTP/11.1\r\nHost: shop.example\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: shop.example\r\n\r\n",
    b"GET http://two.example/ HTTP/2.0\r\nHost: shop.example\r\n\r\n",
    b"GET http://two.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /a\x00b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /a\x1fb HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /a#b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    b"G\xc3\x89T / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
)


class Lenient(EngineCase):
    async def raw(self, request: bytes, source: str = "127.0.0.1") -> int:
        """Send bytes; return the status of the response."""
        reader, writer = await asyncio.open_connection(*self.edge, local_addr=(source, 0))
        try:
            writer.write(request)
            first, _ = await asyncio.wait_for(read_head(reader), 5)
            return int(first.split()[1])
        finally:
            writer.close()

    async def test_malformed_requests_are_refused(self) -> None:
        for state in STATES:
            await self.flip(state)
            for request in REFUSED:
                with self.subTest(state=state, request=request):
                    self.assertEqual(400, await self.raw(request))
        self.assertEqual([], self.guest.seen)

    async def test_heads_of_33_kilobytes(self) -> None:
        many = "".join(f"X-{number}: {'v' * 140}\r\n" for number in range(220))
        heads = {
            "cookie": f"/cookie HTTP/1.1\r\nHost: shop.example\r\nCookie: a={'c' * 33000}\r\n",
            "many": f"/many HTTP/1.1\r\nHost: shop.example\r\n{many}",
            "url": f"/url?{'q' * 33000} HTTP/1.1\r\nHost: shop.example\r\n",
        }
        for state in (*STATES, EdgeState.SHIELDED):
            await self.flip(state)
            for name, head in heads.items():
                with self.subTest(state=state, head=name, method="GET"):
                    self.assertEqual(200, await self.raw(f"GET {head}\r\n".encode()))
                # Another client: a reader that has written waits for the guest.
                write = f"PUT {head}Content-Length: 0\r\n\r\n".replace("a=c", "a=d")
                with self.subTest(state=state, head=name, method="PUT"):
                    self.assertEqual(200, await self.raw(write.encode(), "127.0.0.2"))

    async def test_a_held_read_with_a_large_head(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.flip(EdgeState.SHIELDED)
        request = f"GET /h HTTP/1.1\r\nHost: shop.example\r\nCookie: a={'c' * 33000}\r\n\r\n"
        held = asyncio.create_task(self.raw(request.encode()))
        await self.holding(1)
        await self.flip(EdgeState.REPLAY)
        self.assertEqual(200, await held)

    async def test_larger_heads_are_refused_in_every_state(self) -> None:
        request = f"GET / HTTP/1.1\r\nHost: shop.example\r\nCookie: a={'c' * 37000}\r\n\r\n"
        for state in (*STATES, EdgeState.SHIELDED):
            await self.flip(state)
            with self.subTest(state=state):
                self.assertEqual(431, await self.raw(request.encode()))
