"""A guest that logs received and applied writes, and that can pause."""

from __future__ import annotations

import asyncio
import random
from typing import cast

import httptools


class Guest:
    """Listens on two ports, as if on two hosts, with one log.

    A random generator decides whether a write on a broken connection is applied.
    """

    def __init__(self, *, honours_keys: bool, seed: int) -> None:
        self.honours_keys = honours_keys
        self.received: set[str] = set()
        self.applied: list[str] = []
        self.responses: dict[str, bytes] = {}  # by key
        self.random = random.Random(seed)
        self.running = asyncio.Event()
        self.running.set()
        self.ports: list[int] = []
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(2):
            server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        for server in self._servers:
            server.close()

    def apply(self, name: str, key: str) -> bytes:
        """Apply a write. If keys are honoured, return the first response for a known key."""
        if self.honours_keys and key in self.responses:
            return self.responses[key]
        self.applied.append(name)
        text = name.encode()
        response = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)
        if self.honours_keys:
            self.responses[key] = response
        return response


class _Connection(asyncio.Protocol):
    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._body = b""
        self._key = ""
        self._dead = False  # its worker died: it applies nothing more of this connection
        self._previous: asyncio.Task[None] | None = None  # requests are processed one by one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no instance of it

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body, self._key = b"", ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"idempotency-key":
            self._key = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        name = self._body.partition(b" ")[0].decode()
        self._guest.received.add(name)
        busy = self._previous is not None and not self._previous.done()
        if self._guest.running.is_set() and self._guest.random.random() < 0.8 and not busy:
            self._respond(name, self._key)
        else:
            work = self._respond_later(name, self._key, self._previous)
            self._previous = task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda done: done.exception())

    async def _respond_later(
        self, name: str, key: str, previous: asyncio.Task[None] | None
    ) -> None:
        if previous is not None:
            await asyncio.wait({previous})
        await self._guest.running.wait()
        await asyncio.sleep(self._guest.random.random() * 0.004)
        assert self._transport is not None
        # The worker may die with the connection. Then this write and those behind it were received
        # but are not applied. (RFC 9112, section 9.3.2: a server processes unsafe requests of a
        # connection in order, so no later one is applied either.)
        if self._transport.is_closing() and self._guest.random.random() < 0.5:
            self._dead = True
        if not self._dead:
            self._respond(name, key)

    def _respond(self, name: str, key: str) -> None:
        assert self._transport is not None
        response = self._guest.apply(name, key)
        if not self._transport.is_closing():
            self._transport.write(response)
