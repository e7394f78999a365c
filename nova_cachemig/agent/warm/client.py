"""GETs through the cache's unix socket, HTTP/1, on kept connections.

httptools (llhttp) rather than httpx: a fetch of 8 kB costs the agent's event loop 0.05 ms of
processor time, with httpx 1.2 to 1.5 ms, and the same loop flips the engine's states. Bodies
are counted and thrown away but for what discovery asks to see.
"""

from __future__ import annotations

import asyncio
import collections
import re
from collections.abc import Callable, Mapping
from typing import Final, cast

import httptools

from nova_cachemig.agent.warm.response import FetchedResponse, FetchError

_HEAD_LIMIT: Final = 64 * 1024  # bytes of status line and headers
_IDLE: Final = 4.0  # seconds after which a kept connection is not used again; Varnish's are 5
_URL: Final = re.compile(r"/[\x21-\x7e]*")
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{0,300}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NEVER: Final = frozenset({"cookie", "authorization", "proxy-authorization"})


class CacheClient:
    """Fetches pages; at most ``limit`` at a time, whoever asks."""

    def __init__(self, path: str, limit: int, max_object: int) -> None:
        """``path`` of the cache's unix socket; ``max_object``: bytes of a body at most."""
        self._path, self._max_object = path, max_object
        self._slots = asyncio.Semaphore(limit)
        self._idle: collections.deque[tuple[_Connection, float]] = collections.deque()

    async def get(
        self, url: str, headers: Mapping[str, str], *, timeout: float, keep: KeepBody
    ) -> FetchedResponse:
        """Fetch one page; ``keep(headers)`` says how many bytes of the body are wanted.

        Raises FetchError: nothing listens, no answer within ``timeout`` seconds, an answer that is
        not HTTP, a body larger than ``max_object``, or a URL or header that cannot be sent.
        """
        request = _request(url, headers)
        loop = asyncio.get_running_loop()
        async with self._slots:
            try:
                async with asyncio.timeout(timeout):
                    return await self._exchange(loop, request, keep)
            except TimeoutError as exc:
                raise FetchError(f"no answer within {timeout:g} s", timed_out=True) from exc

    async def _exchange(
        self, loop: asyncio.AbstractEventLoop, request: bytes, keep: KeepBody
    ) -> FetchedResponse:
        connection = self._kept(loop.time())
        if connection is not None:
            try:
                return await self._on(connection, loop, request, keep)
            except _Unused:
                pass  # closed by the other side just then: a GET may be sent again
        try:
            _, connection = await loop.create_unix_connection(_Connection, self._path)
        except OSError as exc:
            raise FetchError(f"the cache does not listen: {exc}", unreachable=True) from exc
        try:
            return await self._on(connection, loop, request, keep)
        except _Unused as exc:
            raise FetchError("the cache closed the connection", unreachable=True) from exc

    async def _on(
        self,
        connection: _Connection,
        loop: asyncio.AbstractEventLoop,
        request: bytes,
        keep: KeepBody,
    ) -> FetchedResponse:
        done = False
        try:
            answer = await connection.exchange(request, keep, self._max_object)
            done = True
        finally:
            if done and connection.usable:
                self._idle.append((connection, loop.time()))
            else:
                connection.abort()
        return answer

    def _kept(self, now: float) -> _Connection | None:
        while self._idle:
            connection, since = self._idle.pop()  # the most recent: the others may go stale
            if connection.usable and now - since < _IDLE:
                return connection
            connection.abort()
        return None

    def close(self) -> None:
        """Close the kept connections."""
        while self._idle:
            self._idle.pop()[0].abort()


KeepBody = Callable[[Mapping[str, str]], int]


class _Unused(Exception):
    """The connection ended before any byte of an answer."""


def _request(url: str, headers: Mapping[str, str]) -> bytes:
    """Refuses what would be another request than the one meant."""
    if not _URL.fullmatch(url):
        raise FetchError(f"cannot be sent: {url!r:.100}", hopeless=True)
    lines = [f"GET {url} HTTP/1.1"]
    for name, value in headers.items():
        if name.lower() in _NEVER:
            continue
        good = _HOST if name.lower() == "host" else _VALUE
        if not _NAME.fullmatch(name) or not good.fullmatch(value):
            raise FetchError(f"header cannot be sent: {name!r:.100}: {value!r:.100}", hopeless=True)
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._exchange: _Exchange | None = None
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.usable = cast(asyncio.Transport, transport), True

    async def exchange(self, request: bytes, keep: KeepBody, max_object: int) -> FetchedResponse:
        """Send and wait; raises FetchError or _Unused."""
        if self._transport is None or not self.usable:
            raise _Unused
        loop = asyncio.get_running_loop()
        self._exchange = _Exchange(loop, keep, max_object)
        self._transport.write(request)
        try:
            return await self._exchange.answer
        finally:
            self.usable = self.usable and self._exchange.reusable
            self._exchange = None

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nobody asked
            self.abort()
        else:
            self._exchange.feed(data)

    def eof_received(self) -> None:
        self.usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._exchange is not None:
            self._exchange.ended()

    def abort(self) -> None:
        """Close at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class _Exchange:
    """Reads one answer: httptools calls the ``on_`` methods."""

    def __init__(self, loop: asyncio.AbstractEventLoop, keep: KeepBody, max_object: int) -> None:
        self.answer: asyncio.Future[FetchedResponse] = loop.create_future()
        self.reusable = False
        self._loop, self._keep, self._max_object = loop, keep, max_object
        self._began = loop.time()
        self._first = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._read = 0  # bytes, the head's or the body's
        self._in_body = self._sized = False
        self._wanted = 0
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """Some bytes came."""
        if self.answer.done():
            return
        if not self._in_body:
            self._read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(FetchError(f"not an HTTP answer: {exc}"))
        if not self._in_body and self._read > _HEAD_LIMIT:
            self._fail(FetchError("the answer's headers are too long"))

    def ended(self) -> None:
        """The connection is no more."""
        if self._in_body and not self._sized:
            self._finish()
        elif self._in_body or self._read:
            self._fail(FetchError("the answer was cut"))
        else:
            self._fail(_Unused())

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # an interim answer
            self._headers = {}
            return
        self._first = self._loop.time()
        self._in_body, self._read = True, 0
        self._sized = "content-length" in self._headers or "transfer-encoding" in self._headers
        self._wanted = self._keep(self._headers)

    def on_body(self, data: bytes) -> None:
        self._read += len(data)
        room = self._wanted - len(self._body)
        if room > 0:
            self._body += data[:room]
        if self._read > self._max_object:
            self._fail(FetchError(f"larger than {self._max_object} bytes", hopeless=True))

    def on_message_complete(self) -> None:
        if self._in_body:
            self.reusable = self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        if not self.answer.done():
            self.answer.set_result(
                FetchedResponse(
                    status=self._parser.get_status_code(),
                    headers=self._headers,
                    first_byte=self._first - self._began,
                    size=self._read,
                    body=bytes(self._body),
                )
            )

    def _fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
