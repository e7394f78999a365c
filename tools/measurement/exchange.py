"""One HTTP/1.1 connection of the load: send a request, tell when its whole answer was there.

Our own and small, because the generator shares two cores with the cloud that it measures: for a
request on a new connection httpx takes 2.0 ms of CPU, asyncio's streams with h11 0.4 ms, this
0.26 ms, and 0.13 ms on uvloop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httptools

IDLE_REUSE: Final = 2.0  # seconds; a server may close an idle connection just as it is used again


class Exchange(asyncio.Protocol):
    """One connection and at most one request on it at a time.

    ``on_answer(status, headers, error)`` is called once a request; ``error`` is empty when the
    whole answer came. ``status`` may be known and the answer yet be broken.
    """

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._on_answer: Callable[[int, list[tuple[bytes, bytes]], str], None] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._answered = False  # any byte of an answer to the current request
        self._framed = False  # the end of the body is told by length or chunks
        self.requests = 0
        self.idle_since = 0.0

    @property
    def reusable(self) -> bool:
        """Open, and nothing is on its way."""
        transport = self._transport
        return bool(transport and not transport.is_closing() and self._on_answer is None)

    @property
    def untouched(self) -> bool:
        """The current request was the connection's second or later and not a byte came back."""
        return self.requests > 1 and not self._answered

    def send(
        self, data: bytes, on_answer: Callable[[int, list[tuple[bytes, bytes]], str], None]
    ) -> None:
        """Write one whole request."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._status = [], 0
        self._answered = self._framed = False
        self._on_answer = on_answer
        self.requests += 1
        self._transport.write(data)

    def abort(self) -> None:
        """Give up the request and the connection; ``on_answer`` is not called."""
        self._on_answer = None
        if self._transport:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is no HTTP fails the request."""
        self._answered = True
        try:
            if self._parser:
                self._parser.feed_data(data)
        except httptools.HttpParserError as exc:
            self._finish(f"not HTTP: {exc}")
            if self._transport:
                self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of a body without length, or of a request that fails."""
        if self._status and not self._framed and exc is None:
            self._finish("")
        else:
            why = type(exc).__name__ if exc else "closed"
            self._finish(f"{why} {'in the answer' if self._answered else 'before an answer'}")

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The status is known; 1xx are followed by the answer."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status >= 200:
            self._status = status
            names = {name for name, _ in self._headers}
            self._framed = bool(names & {b"content-length", b"transfer-encoding"})

    def on_message_complete(self) -> None:
        """The whole answer is there; the server closes if the connection is not kept."""
        if self._status:
            self._finish("")

    def _finish(self, error: str) -> None:
        callback, self._on_answer = self._on_answer, None
        if callback:
            callback(self._status, self._headers, error)
