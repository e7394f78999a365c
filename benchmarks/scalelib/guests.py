"""All guests as one process, in a network namespace where every address of the network is local.

A guest is an address. It keeps the names of the writes that it has applied, in their order. The
process also plays Nova, on another TCP port: each instance exists, and its migration runs.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

PORT, NOVA_PORT = 80, 8774
_LISTED = 200  # instances in Nova's list
_BODY = b"x" * 1000
_PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: public, max-age=60\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
_PRIVATE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n"
    b"Content-Length: 2\r\n\r\nok"
)

applied: dict[str, list[str]] = {}


class Guest(asyncio.Protocol):
    """One connection to any of the guests."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._address = transport.get_extra_info("sockname")[0]
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, length = self._buffer[:end], 0
            fields = head.lower()
            if (at := fields.find(b"\r\ncontent-length:")) >= 0:
                length = int(fields[at + 17 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._respond(head)

    def _respond(self, head: bytes) -> None:
        method, url, _ = head.split(b"\r\n", 1)[0].split(b" ")
        if method == b"POST":
            name = head[head.lower().index(b"\r\nx-write:") + 10 :].split(b"\r\n", 1)[0].strip()
            applied.setdefault(self._address, []).append(name.decode())
            self._transport.write(_PRIVATE)
        else:
            self._transport.write(_PAGE if url.startswith(b"/page") else _PRIVATE)


class Nova(asyncio.Protocol):
    """``GET /log`` returns the writes of all guests; other paths are Nova's."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1].decode()
        body = json.dumps(_nova(path)).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )


def _server(number: int) -> dict[str, object]:
    address = {"addr": address_of(number), "version": 4, "OS-EXT-IPS:type": "fixed"}
    return {"id": instance_of(number), "status": "ACTIVE", "addresses": {"net": [address]}}


def _nova(path: str) -> object:
    if path == "/log":
        return applied
    if path.startswith("/servers/detail"):
        numbers = () if "marker=" in path else range(_LISTED)
        return {"servers": [_server(number) for number in numbers]}
    if path.startswith("/servers/"):
        return {"server": _server(int(path.partition("?")[0][-12:]))}
    if path.startswith("/os-migrations"):
        return {"migrations": [{"id": 1, "status": "running", "migration_type": "live-migration"}]}
    return {"versions": [], "version": {"id": "v2.1", "status": "CURRENT", "version": "2.96"}}


def address_of(number: int) -> str:
    """Return the address of a guest."""
    return f"100.96.{1 + number // 250}.{1 + number % 250}"


def instance_of(number: int) -> str:
    """Return the UUID of a guest's instance."""
    return f"6f70656e-7374-4163-8b21-{number:012d}"


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(Guest, "0.0.0.0", PORT, backlog=4096)
    await loop.create_server(Nova, "0.0.0.0", NOVA_PORT, backlog=256)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)  # until the benchmark ends


if __name__ == "__main__":
    socket.setdefaulttimeout(None)
    asyncio.run(_serve())
