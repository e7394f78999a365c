"""Sends the response to a write in the way that the behaviour of the guest demands."""

from __future__ import annotations

import asyncio
import dataclasses

from tests.workload.behaviour import Behaviour, Way
from tests.workload.wire import Head, chunked


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """One reception of a write. ``key``: by which the guest knows it; empty: it has none."""

    reception: str
    name: str
    method: str
    url: str
    head: Head
    key: str


class Responder:
    """The response to one reception. ``fields``: of each response to it."""

    def __init__(
        self, write: Received, what: Behaviour, writer: asyncio.StreamWriter, fields: list[str]
    ) -> None:
        self._what = what
        self._writer = writer
        self._fields = fields
        if what.applies and write.url.startswith("/act/"):
            fields.append(f"location: {write.url.replace('/act/', '/p/')}")
        self._body = f"{write.name} is done\n".encode()

    async def run(self) -> None:
        """Send it. Raises OSError if the connection is closed before the end."""
        way, fields, body = self._what.way, self._fields, self._body
        length = f"content-length: {len(body)}"
        if way in {Way.DIE_BEFORE, Way.DIE_AFTER}:
            raise ConnectionAbortedError
        if way is Way.RESET:
            self._writer.transport.abort()
            raise ConnectionAbortedError
        if way is Way.GARBAGE:
            await self._send(b"SEGMENTATION FAULT in worker 3\r\n\r\n")
        elif way is Way.CUT:
            await self._send(response(200, fields, body[:4], length))
            raise ConnectionAbortedError
        elif way in {Way.DRIP, Way.ENDLESS}:
            await self._drip(response(200, fields, body, length))
        elif way is Way.OLD:
            await self._send(response(200, fields, body).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        elif way is Way.BARE:
            await self._send(response(204, fields, b""))
        elif way is Way.TRAILERS:
            data = chunked(body) + b"0\r\nset-cookie: trap=1\r\nx-sum: 7\r\n\r\n"
            await self._send(response(200, fields, data, "transfer-encoding: chunked"))
        elif way in {Way.BIG, Way.HUGE}:
            body *= 60_000 if way is Way.HUGE else 15_000
            await self._send(response(200, fields, body, f"content-length: {len(body)}"))
        elif way is Way.CLOSE:
            await self._send(response(200, fields, body, length, "connection: close"))
        else:
            await self._plain(length)

    async def _plain(self, length: str) -> None:
        way = self._what.way
        if way in {Way.LATE, Way.POLL}:
            await asyncio.sleep(self._what.seconds)
        if way is Way.INTERIM:
            self._writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n")
        more = ["retry-after: 1"] if way in {Way.UNAVAILABLE, Way.BUSY} else []
        status = {Way.ERROR: 500, Way.UNAVAILABLE: 503, Way.BUSY: 409}.get(way, 200)
        await self._send(response(status, self._fields, self._body, length, *more))

    async def _drip(self, data: bytes) -> None:
        head = data[:20]
        self._writer.write(head)
        rest, pause = data[20:], self._what.seconds / 25
        size = len(rest) // 25 + 1
        for start in range(0, len(rest), size):
            await asyncio.sleep(pause)
            await self._send(rest[start : start + size])

    async def _send(self, data: bytes) -> None:
        for _ in range(2):
            if self._writer.transport.is_closing():
                raise ConnectionResetError
            self._writer.write(data)
            await self._writer.drain()
            data = b""


def response(status: int, fields: list[str], body: bytes, *more: str) -> bytes:
    """Return an encoded response; its framing is in ``more``."""
    head = "\r\n".join([f"HTTP/1.1 {status} Status", *fields, *more])
    return head.encode("latin-1") + b"\r\n\r\n" + body
