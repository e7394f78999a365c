"""A guest for kills: it logs what reached it and what it applied, and can pause."""

from __future__ import annotations

import asyncio
import random

import httptools


class Guest:
    """Listens on two ports, as if on two hosts; one log. ``random`` decides what a cut leaves."""

    def __init__(self, *, honours_keys: bool, seed: int) -> None:
        self.honours_keys = honours_keys
        self.received: set[str] = set()
        self.applied: list[str] = []
        self.answers: dict[str, bytes] = {}
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
        """Apply a write, or give the answer of the first time where keys are honoured."""
        if self.honours_keys and key in self.answers:
            return self.answers[key]
        self.applied.append(name)
        text = name.encode()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)
        if self.honours_keys:
            self.answers[key] = answer
        return answer


class _Connection(asyncio.Protocol):
    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._body = b""
        self._key = ""
        self._left = False  # its worker died: nothing more of this connection is applied
        self._before: asyncio.Task[None] | None = None  # requests are dealt with one by one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

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
        waits = self._before is not None and not self._before.done()
        if self._guest.running.is_set() and self._guest.random.random() < 0.8 and not waits:
            self._answer(name, self._key)
        else:
            work = self._slowly(name, self._key, self._before)
            self._before = task = asyncio.get_running_loop().create_task(work)
            task.add_done_callback(lambda done: done.exception())

    async def _slowly(self, name: str, key: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        await self._guest.running.wait()
        await asyncio.sleep(self._guest.random.random() * 0.004)
        assert self._transport is not None
        # Its worker may die with the connection: the write was received, not applied, and so is it
        # with those behind it. (RFC 9112, section 9.3.2: a server deals with unsafe requests of a
        # connection one after the other. None passes one by.)
        if self._transport.is_closing() and self._guest.random.random() < 0.5:
            self._left = True
        if not self._left:
            self._answer(name, key)

    def _answer(self, name: str, key: str) -> None:
        assert self._transport is not None
        answer = self._guest.apply(name, key)
        if not self._transport.is_closing():
            self._transport.write(answer)
