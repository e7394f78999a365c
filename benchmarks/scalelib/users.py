"""The users of all services: requests at a steady rate, each with its times and its outcome."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import random
from typing import Any

PAGES = 10
_READER, _WRITER = "127.0.0.3", "127.0.0.2"
"""The users' addresses. A client that has written gets no page from before its write."""
_TIMEOUT = 90.0


@dataclasses.dataclass(slots=True)
class Request:
    """One request. The times are of the event loop."""

    service: int
    kind: str  # page, private or write
    name: str
    sent: float
    done: float = 0.0
    status: int = 0  # 0: no response
    hit: bool = False


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: Any = None
        self.waiting: asyncio.Future[bytes] | None = None
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) >= end + 4 + length:
            self._buffer = b""
            if self.waiting is not None and not self.waiting.done():
                self.waiting.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(exc or ConnectionResetError("closed"))

    @property
    def open(self) -> bool:
        return not self.transport.is_closing()


class Users:
    """``rate`` requests per second for each service; ``share`` of them are writes."""

    def __init__(self, port: int, services: int, rate: float, share: float) -> None:
        self._port, self._services, self._rate, self._share = port, services, rate, share
        self._idle: dict[tuple[int, str], list[_Connection]] = {}
        self._random = random.Random(1)
        self._numbers = itertools.count()
        self._open: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Send until ``stop`` is set; return when all requests have ended."""
        loop = asyncio.get_running_loop()
        due = [(loop.time() + self._random.random() / self._rate, n) for n in range(self._services)]
        due.sort()
        for at, service in itertools.cycle(due):
            if stop.is_set():
                break
            turn = next(self._numbers) // len(due)
            pause = at + turn / self._rate - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            task = asyncio.create_task(self._one(service))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        if self._open:
            await asyncio.wait(self._open)

    async def _one(self, service: int) -> None:
        kind = "write" if self._random.random() < self._share else "page"
        if kind == "page" and self._random.random() < 0.1:
            kind = "private"
        now = asyncio.get_running_loop().time
        request = Request(service, kind, f"{service}-{len(self.requests)}", now())
        self.requests.append(request)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                head = await self._exchange(request)
            request.status = int(head[9:12])
            request.hit = b"cachemig; hit" in head and b"detail=held" not in head
        request.done = now()

    def _text(self, request: Request) -> bytes:
        host = f"Host: s{request.service}.example\r\n"
        if request.kind == "write":
            return (
                f"POST /write HTTP/1.1\r\n{host}X-Write: {request.name}\r\n"
                f"Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody"
            ).encode()
        page = f"/page/{self._random.randrange(PAGES)}" if request.kind == "page" else "/private"
        return f"GET {page} HTTP/1.1\r\n{host}\r\n".encode()

    async def _exchange(self, request: Request) -> bytes:
        source = _WRITER if request.kind == "write" else _READER
        idle = self._idle.setdefault((request.service, source), [])
        while idle:
            connection = idle.pop()
            if connection.open:
                break
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                _Connection, "127.0.0.1", self._port, local_addr=(source, 0)
            )
        connection.waiting = asyncio.get_running_loop().create_future()
        connection.transport.write(self._text(request))
        try:
            head = await connection.waiting
        except BaseException:
            connection.transport.abort()
            raise
        idle.append(connection)
        return head
