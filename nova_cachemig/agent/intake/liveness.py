"""The socket on which the edge checks whether the agent works.

It has its own queue of connections that wait to be accepted: behind thousands of writes, a check
would come too late. The event loop responds, so an agent whose loop hangs does not.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

_RESPONSE: Final = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
_MAX_REQUEST: Final = 4096  # bytes


class LivenessProtocol(asyncio.Protocol):
    """One check: any request gets 204."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._request += data
        if b"\r\n\r\n" in self._request:
            self._transport.write(_RESPONSE)
            self._transport.close()
        elif len(self._request) > _MAX_REQUEST:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
