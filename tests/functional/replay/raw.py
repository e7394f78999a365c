"""A guest that sends exactly the bytes of the test, also such as no HTTP server should send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Connection:
    """One connection of a client, after a request's head."""

    def __init__(
        self, head: bytes, length: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.head = head
        self.length = length  # of the body, in bytes
        self.writer = writer
        self._reader = reader

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    async def body(self) -> bytes:
        """Read the request's body."""
        return await self._reader.readexactly(self.length)

    async def send(self, data: bytes) -> None:
        """Send bytes. Raises ConnectionError if the client has closed the connection."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError  # uvloop's transport would raise RuntimeError
        self.writer.write(data)
        await self.writer.drain()


Responder = Callable[[Connection], Awaitable[bool]]
"""Responds to one request. Returns whether the connection stays open."""


class RawGuest:
    """Counts requests. ``respond`` does all the rest."""

    def __init__(self, respond: Responder) -> None:
        self.respond = respond
        self.heads: list[bytes] = []
        self.port = 0
        self._grew = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def arrived(self, number: int) -> None:
        """Return once so many requests have arrived."""
        while len(self.heads) < number:
            self._grew.clear()
            await self._grew.wait()

    def count(self, method: str) -> int:
        """Return how many requests with this method have arrived."""
        return sum(head.startswith(method.encode() + b" ") for head in self.heads)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        self._grew.set()
        lines = head.decode("latin-1").lower().split("\r\n")
        lengths = [line for line in lines if line.startswith("content-length:")]
        length = int(lengths[0].partition(":")[2]) if lengths else 0
        return await self.respond(Connection(head, length, reader, writer))
