"""A guest that logs its writes, and that pauses, closes and dies as real ones do."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import random
import time
from typing import Final, cast

import httptools

GRACE: Final = 0.4
"""Seconds for which a worker may go on with requests whose connection has ended. The time of a
pause does not count."""

_QUICK: Final = 0.6  # share of the requests with an immediate response
_LATENCY: Final = 0.008  # seconds at most, of the others
_GOES_WITH_IT: Final = 0.3  # share of the connections whose end is the end of their worker
# Shares of the writes.
_DIES: Final = 0.01  # the worker dies, before or after it has applied the write
_CLOSES: Final = 0.04  # the response says "Connection: close"
_OLD: Final = 0.02  # the response is one of HTTP/1.0, behind which the connection ends


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """One application of a write. Times are of the monotonic clock, in seconds."""

    id: str
    direct: bool  # it came from the edge, not from the journal
    received_at: float
    applied_at: float


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    id: str  # of a write
    key: str
    received_at: float


class Guest:
    """Listens on two ports with one log: as if on two hosts, or for the edge and for the journal.

    A random generator decides about all that may happen either way.
    """

    def __init__(
        self, *, honours_keys: bool, seed: int, edge: bool = False, grace: float = GRACE
    ) -> None:
        """``edge``: the first port gets the requests of the edge, and the second the journal's.

        ``grace``: seconds for which a worker goes on with requests whose connection has ended.
        """
        self._grace = grace
        self.honours_keys = honours_keys
        self.edge = edge
        self.received: set[str] = set()
        self.log: list[Applied] = []
        self.pages: dict[str, str] = {}  # URL → the id of the write that it shows
        self.responses: dict[str, bytes] = {}  # by key
        self.random = random.Random(seed)
        self.running = asyncio.Event()
        self.running.set()
        self.ports: list[int] = []
        self._orphans: list[_Orphan] = []
        self._paused_at = 0.0  # loop time
        self._servers: list[asyncio.Server] = []

    @property
    def applied(self) -> list[str]:
        """The ids in the order of application."""
        return [entry.id for entry in self.log]

    async def start(self) -> None:
        """Listen on both ports."""
        loop = asyncio.get_running_loop()
        for direct in (self.edge, False):
            server = await loop.create_server(
                lambda direct=direct: _Connection(self, direct=direct), "127.0.0.1", 0
            )
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Listen no more."""
        for server in self._servers:
            server.close()

    def pause(self) -> None:
        """Process nothing until :meth:`resume`."""
        if self.running.is_set():
            self.running.clear()
            self._paused_at = asyncio.get_running_loop().time()

    def resume(self) -> None:
        """Go on where :meth:`pause` has stopped it."""
        if self.running.is_set():
            return
        loop = asyncio.get_running_loop()
        for orphan in self._orphans:
            orphan.due += loop.time() - max(self._paused_at, orphan.since)
            loop.call_at(orphan.due + 0.001, self.end_orphans)
        self.running.set()

    def add_orphan(self, connection: _Connection) -> None:
        """A connection has ended. Its worker goes on for a while."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self.random.random() * self._grace
        self._orphans.append(_Orphan(loop.time(), due, connection))
        loop.call_at(due + 0.001, self.end_orphans)

    def end_orphans(self) -> None:
        """Apply what is left of ended connections whose time is over, before anything newer.

        On a busy machine, their timers may be later than the next agent's connection.
        """
        if not self.running.is_set():
            return
        now = asyncio.get_running_loop().time()
        over = [orphan for orphan in self._orphans if orphan.due <= now]
        self._orphans = [orphan for orphan in self._orphans if orphan.due > now]
        for orphan in sorted(over, key=lambda orphan: orphan.due):
            orphan.connection.apply_rest()

    def apply(self, request: _Request, *, direct: bool) -> bytes:
        """Apply a write. If keys are honoured, return the first response for a known key."""
        if self.honours_keys and request.key in self.responses:
            return self.responses[request.key]
        entry = Applied(request.id, direct, request.received_at, time.monotonic())
        self.log.append(entry)
        self.pages[request.url] = request.id
        text = request.id.encode()
        response = b"content-length: %d\r\n\r\n%s" % (len(text), text)
        if self.honours_keys:
            self.responses[request.key] = response
        return response

    def page(self, url: str) -> bytes:
        """Return the response to a read, which a cache may keep."""
        text = f"{url} {self.pages.get(url, '')}".encode()
        return b"cache-control: max-age=60\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)


@dataclasses.dataclass(slots=True)
class _Orphan:
    """A connection that has ended, with requests. Loop times, in seconds."""

    since: float
    due: float  # the worker applies them
    connection: _Connection


class _Connection(asyncio.Protocol):
    def __init__(self, guest: Guest, *, direct: bool) -> None:
        self._guest = guest
        self._direct = direct
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._requests: collections.deque[_Request] = collections.deque()
        self._dead = False  # its worker died: it applies nothing more of this connection
        self._work: asyncio.Task[None] | None = None  # requests are processed one by one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no instance of it

    def connection_lost(self, exc: Exception | None) -> None:
        if self._requests and not self._dead:
            self._guest.add_orphan(self)

    def data_received(self, data: bytes) -> None:
        self._guest.end_orphans()
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body, self._key, self._url = b"", "", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"idempotency-key":
            self._key = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        method, name = self._parser.get_method().decode(), self._body.partition(b" ")[0].decode()
        if method != "GET":
            self._guest.received.add(name)
        request = _Request(method, self._url.decode(), name, self._key, time.monotonic())
        self._requests.append(request)
        if self._work is None:
            if self._guest.running.is_set() and self._guest.random.random() < _QUICK:
                self._respond(self._requests.popleft())
            else:
                self._work = asyncio.get_running_loop().create_task(self._respond_later())

    async def _respond_later(self) -> None:
        guest, transport = self._guest, self._transport
        assert transport is not None
        while self._requests:
            await guest.running.wait()
            await asyncio.sleep(guest.random.random() * _LATENCY)
            await guest.running.wait()
            if transport.is_closing():
                # The worker may die with the connection. Then the requests on it were received but
                # are not applied. (RFC 9112, section 9.3.2: a server processes unsafe requests of a
                # connection in order, so no later one is applied either.) Or it goes on slowly.
                self._dead = self._dead or guest.random.random() < _GOES_WITH_IT
                break
            if self._requests:
                self._respond(self._requests.popleft())
        self._work = None
        guest.end_orphans()

    def apply_rest(self) -> None:
        """Apply the requests that were not applied when the connection ended."""
        while self._requests and not self._dead:
            request = self._requests.popleft()
            if request.method != "GET":
                self._guest.apply(request, direct=self._direct)

    def _respond(self, request: _Request) -> None:
        guest, transport = self._guest, self._transport
        assert transport is not None
        if self._dead:
            return
        if request.method == "GET":
            transport.write(b"HTTP/1.1 200 OK\r\n" + guest.page(request.url))
            return
        fate = guest.random.random()
        if fate < _DIES:
            if guest.random.random() < 0.5:
                guest.apply(request, direct=self._direct)
            self._end()
            return
        response = guest.apply(request, direct=self._direct)
        if transport.is_closing():
            return
        if fate < _DIES + _CLOSES:
            transport.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + response)
            self._end()
        elif fate < _DIES + _CLOSES + _OLD:
            transport.write(b"HTTP/1.0 200 OK\r\n" + response)
            self._end()
        else:
            transport.write(b"HTTP/1.1 200 OK\r\n" + response)

    def _end(self) -> None:
        """Close the connection. No later request on it is applied."""
        assert self._transport is not None
        self._dead = True
        self._requests.clear()
        self._transport.close()
