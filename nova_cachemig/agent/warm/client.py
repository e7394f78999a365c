"""GET requests through the cache's unix socket: HTTP/1 on persistent connections.

The parser is httptools (llhttp). A fetch of 8 kB takes 0.05 ms of the agent's event loop; with
httpx it takes 1.2 to 1.5 ms, and the same loop changes the engine's states. Bodies are counted,
digested and discarded, except for the part that discovery needs.
"""

from __future__ import annotations

import asyncio
import collections
import re
from collections.abc import Callable, Mapping
from typing import Final, cast

import httptools

from nova_cachemig.agent.warm.digest import BodyDigest
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError
from nova_cachemig.model.secret import redact

_HEAD_LIMIT: Final = 64 * 1024  # bytes of status line and headers
_IDLE_TIMEOUT: Final = 4.0  # seconds of idle time before a connection is closed; Varnish's: 5
_URL: Final = re.compile(r"/[\x21-\x7e]*")
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{0,300}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NEVER_SENT: Final = frozenset({"authorization", "proxy-authorization"})


class CacheClient:
    """Fetches pages, at most ``limit`` at the same time."""

    def __init__(self, path: str, limit: int, max_object: int) -> None:
        """``path``: the cache's unix socket; ``max_object``: limit of a body in bytes."""
        self._path, self._max_object = path, max_object
        self._slots = asyncio.Semaphore(limit)
        self._idle: collections.deque[tuple[_Connection, float]] = collections.deque()

    async def get(
        self, url: str, headers: Mapping[str, str], *, timeout: float, body_limit: BodyLimit
    ) -> FetchedResponse:
        """Fetch one page; ``body_limit(headers)`` returns how many bytes of the body to keep.

        Raises FetchError if the cache does not respond within ``timeout`` seconds, or if the
        response is not HTTP or its body exceeds ``max_object``. It also raises FetchError for a
        malformed URL or header.
        """
        request = _request(url, headers)
        loop = asyncio.get_running_loop()
        async with self._slots:
            try:
                async with asyncio.timeout(timeout):
                    return await self._exchange(loop, request, body_limit)
            except TimeoutError as exc:
                raise FetchError(f"no response within {timeout:g} s", timed_out=True) from exc

    async def _exchange(
        self, loop: asyncio.AbstractEventLoop, request: bytes, body_limit: BodyLimit
    ) -> FetchedResponse:
        connection = self._reusable(loop.time())
        if connection is not None:
            try:
                return await self._exchange_on(connection, loop, request, body_limit)
            except _ConnectionClosedError:
                pass  # the cache had closed the connection: a GET may be sent again
        try:
            _, connection = await loop.create_unix_connection(_Connection, self._path)
        except OSError as exc:
            raise FetchError(f"the cache does not listen: {exc}", unreachable=True) from exc
        try:
            return await self._exchange_on(connection, loop, request, body_limit)
        except _ConnectionClosedError as exc:
            raise FetchError("the cache closed the connection", unreachable=True) from exc

    async def _exchange_on(
        self,
        connection: _Connection,
        loop: asyncio.AbstractEventLoop,
        request: bytes,
        body_limit: BodyLimit,
    ) -> FetchedResponse:
        done = False
        try:
            response = await connection.exchange(request, body_limit, self._max_object)
            done = True
        finally:
            if done and connection.usable:
                self._idle.append((connection, loop.time()))
            else:
                connection.abort()
        return response

    def _reusable(self, now: float) -> _Connection | None:
        while self._idle:
            connection, since = (
                self._idle.pop()
            )  # the most recent; the others may reach their timeout
            if connection.usable and now - since < _IDLE_TIMEOUT:
                return connection
            connection.abort()
        return None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[0].abort()


BodyLimit = Callable[[Mapping[str, str]], int]
"""Response headers -> bytes of the body to keep."""


class _ConnectionClosedError(Exception):
    """The connection ended before the first byte of a response."""


def _request(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of a request. Raises FetchError for input that would be another request."""
    if not _URL.fullmatch(url):
        raise FetchError(f"malformed URL: {redact(url)!r:.100}", permanent=True)
    lines = [f"GET {url} HTTP/1.1"]
    for name, value in headers.items():
        if name.lower() in _NEVER_SENT:
            continue
        pattern = _HOST if name.lower() == "host" else _VALUE
        if not _NAME.fullmatch(name) or not pattern.fullmatch(value):
            raise FetchError(f"malformed header: {name!r:.100}: {value!r:.100}", permanent=True)
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Connection(asyncio.Protocol):
    """One connection with one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._exchange: _Exchange | None = None
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.usable = cast(asyncio.Transport, transport), True

    async def exchange(
        self, request: bytes, body_limit: BodyLimit, max_object: int
    ) -> FetchedResponse:
        """Send a request; return its response. Raises FetchError or _ConnectionClosedError."""
        if self._transport is None or not self.usable:
            raise _ConnectionClosedError
        loop = asyncio.get_running_loop()
        self._exchange = _Exchange(loop, body_limit, max_object)
        self._transport.write(request)
        try:
            return await self._exchange.response
        finally:
            self.usable = self.usable and self._exchange.reusable
            self._exchange = None

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # not a response to any request
            self.abort()
        else:
            self._exchange.feed(data)

    def eof_received(self) -> None:
        self.usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._exchange is not None:
            self._exchange.connection_ended()

    def abort(self) -> None:
        """Close immediately, without sending buffered data."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()


class _Exchange:
    """Reads one response; httptools calls the ``on_`` methods."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, body_limit: BodyLimit, max_object: int
    ) -> None:
        self.response: asyncio.Future[FetchedResponse] = loop.create_future()
        self.reusable = False
        self._loop, self._body_limit, self._max_object = loop, body_limit, max_object
        self._began = loop.time()
        self._first = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._read = 0  # bytes of the head, later of the body
        self._in_body = self._sized = False
        self._to_keep = 0
        self._body = bytearray()
        self._digest = BodyDigest("")

    def feed(self, data: bytes) -> None:
        """Parse received bytes."""
        if self.response.done():
            return
        if not self._in_body:
            self._read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._fail(FetchError(f"not an HTTP response: {exc}"))
        if not self._in_body and self._read > _HEAD_LIMIT:
            self._fail(FetchError("the headers of the response are too long"))

    def connection_ended(self) -> None:
        """Complete the response, or fail if it is incomplete."""
        if self._in_body and not self._sized:
            self._finish()
        elif self._in_body or self._read:
            self._fail(FetchError("the response is incomplete"))
        else:
            self._fail(_ConnectionClosedError())

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # an interim response
            self._headers = {}
            return
        self._first = self._loop.time()
        self._in_body, self._read = True, 0
        self._sized = "content-length" in self._headers or "transfer-encoding" in self._headers
        self._to_keep = self._body_limit(self._headers)
        self._digest = BodyDigest(self._headers.get("content-encoding", ""))

    def on_body(self, data: bytes) -> None:
        self._read += len(data)
        self._digest.feed(data)
        missing = self._to_keep - len(self._body)
        if missing > 0:
            self._body += data[:missing]
        if self._read > self._max_object:
            self._fail(FetchError(f"larger than {self._max_object} bytes", permanent=True))

    def on_message_complete(self) -> None:
        if self._in_body:
            self.reusable = self._parser.should_keep_alive()
            self._finish()

    def _finish(self) -> None:
        if not self.response.done():
            self.response.set_result(
                FetchedResponse(
                    status=self._parser.get_status_code(),
                    headers=self._headers,
                    first_byte=self._first - self._began,
                    size=self._read,
                    body=bytes(self._body),
                    digest=self._digest.result(),
                )
            )

    def _fail(self, error: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(error)
