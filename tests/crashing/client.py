"""Clients of the intake. Each keeps a log of its writes and their responses."""

from __future__ import annotations

import asyncio
import random
import time
import zlib

from tests.crashing.oplog import Sent


class Client:
    """Sends one write after the other.

    ``keyed``: repeats a write with the same key until it gets a response. ``respond_async``: asks
    for a 202.
    """

    def __init__(
        self, name: str, socket: str, *, keyed: bool, respond_async: bool, seed: int
    ) -> None:
        self.name = name
        self.oplog: list[Sent] = []
        self.refused = 0  # writes
        self._socket = socket
        self._keyed = keyed
        self._respond_async = respond_async
        self._random = random.Random(seed)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Write until ``stop`` is set."""
        while not stop.is_set():
            if not await self._connected():
                continue
            method = self._random.choice(("PUT", "POST", "POST", "DELETE"))
            name = f"{self.name}-{len(self.oplog)}"
            # Half of the writes go to a few URLs that all clients use.
            url = f"/{name}" if self._random.random() < 0.5 else f"/{self._random.randrange(8)}"
            write = Sent(name, self.name, method, time.monotonic(), url=url)
            self.oplog.append(write)
            while not await self._try(write) and self._keyed and not stop.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _try(self, write: Sent) -> bool:
        """Send the write once. Returns whether its outcome is known."""
        try:
            status = await self._exchange(write)
        except (ConnectionError, asyncio.IncompleteReadError, EOFError):
            self._drop()
            await asyncio.sleep(0.005)
            return False
        if status in {200, 202}:
            write.acknowledged_at = time.monotonic()
        elif status == 503:
            # An earlier try of a keyed write may have been accepted.
            write.refused = not self._keyed
            self.refused += write.refused
            await asyncio.sleep(0.01)
            return not self._keyed
        elif status == 409:
            await asyncio.sleep(0.02)
            return False
        elif status == 504:
            return not self._keyed
        elif status != 502:
            raise AssertionError(f"{write.id}: status {status}")
        return True

    async def _connected(self) -> bool:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_unix_connection(self._socket)
            except OSError:  # the process is dead, and the next one has not started
                await asyncio.sleep(0.005)
        return self._streams is not None

    async def _exchange(self, write: Sent) -> int:
        if not await self._connected():
            raise ConnectionError("no process listens")
        assert self._streams is not None
        reader, writer = self._streams
        # The same size at each try. A few bodies are large enough for a spool file.
        size = 100_000 if zlib.crc32(write.id.encode()) % 50 == 0 else 1000
        body = write.id.encode() + b" " + b"x" * size
        head = (
            f"{write.method} {write.url} HTTP/1.1\r\nHost: shop.example\r\n"
            f"X-Cachemig-Service: shop\r\nX-Cachemig-Client: {self.name}\r\n"
            f"X-Write: {write.id}\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        if self._keyed:
            head += f'Idempotency-Key: "{write.id}"\r\n'
        if self._respond_async:
            head += "Prefer: respond-async\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        response = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = response.rstrip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close" or self._random.random() < 0.05:
            self._drop()
        return int(first.split(" ")[1])

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
