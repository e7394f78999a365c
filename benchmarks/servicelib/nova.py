"""Nova's API, slow or down, and guests that accept every connection, in one thread."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.parse
from typing import Any

_PAGE = 1000  # instances


def address_of(number: int) -> str:
    """Return the address of a guest, on the loopback interface."""
    return f"127.3.{number // 250}.{1 + number % 250}"


def instance_of(number: int) -> str:
    """Return the UUID of a guest's instance."""
    return f"6f70656e-7374-4163-8b21-{number:012d}"


def _server(number: int) -> dict[str, object]:
    address = {"addr": address_of(number), "version": 4, "OS-EXT-IPS:type": "fixed"}
    return {"id": instance_of(number), "status": "ACTIVE", "addresses": {"net": [address]}}


class Cloud:
    """``delay``: seconds of each response of Nova; None: it refuses all connections."""

    def __init__(self, instances: int, delay: float | None) -> None:
        self._instances, self._delay = instances, delay
        self.nova_port = self.guest_port = 0
        self.asked = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)

    async def _listen(self) -> None:
        nova = await asyncio.start_server(self._respond, "127.0.0.1", 0)
        self.nova_port = nova.sockets[0].getsockname()[1]
        if self._delay is None:
            nova.close()
        guests = await asyncio.start_server(self._accept, "0.0.0.0", 0, backlog=4096)
        self.guest_port = guests.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.asked += 1
                await asyncio.sleep(self._delay or 0.0)
                body = json.dumps(self._answer(head.split(" ")[1])).encode()
                fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                writer.write(b"HTTP/1.1 200 OK\r\n" + fields.encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, target: str) -> Any:
        url = urllib.parse.urlsplit(target)
        if url.path.endswith("/servers/detail"):
            marker = urllib.parse.parse_qs(url.query).get("marker", [""])[0]
            first = int(marker[-12:]) + 1 if marker else 0
            last = min(first + _PAGE, self._instances)
            return {"servers": [_server(number) for number in range(first, last)]}
        if "/servers/" in url.path:
            return {"server": _server(int(url.path[-12:]))}
        if url.path.endswith("/os-migrations"):
            return {"migrations": []}
        return {"versions": [], "version": {"id": "v2.1", "status": "CURRENT", "version": "2.96"}}
