"""Clients of the intake that remember what they were told."""

from __future__ import annotations

import asyncio
import random
import time
import zlib

from tests.crashing.history import Sent


class Client:
    """One client: a write, its answer, the next write. ``keyed``: asks again with the same key."""

    def __init__(self, name: str, socket: str, *, keyed: bool, later: bool, seed: int) -> None:
        self.name = name
        self.history: list[Sent] = []
        self._socket = socket
        self._keyed = keyed
        self._later = later
        self._random = random.Random(seed)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop."""
        while not stop.is_set():
            if not await self._connected():
                continue
            method = self._random.choice(("PUT", "POST", "POST", "DELETE"))
            name = f"{self.name}-{len(self.history)}"
            # half of them to a few URLs, where clients meet
            url = f"/{name}" if self._random.random() < 0.5 else f"/{self._random.randrange(8)}"
            write = Sent(name, self.name, method, time.monotonic(), url=url)
            self.history.append(write)
            while not await self._try(write) and self._keyed and not stop.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _try(self, write: Sent) -> bool:
        """Whether the client knows how it ended."""
        try:
            status = await self._exchange(write)
        except (ConnectionError, asyncio.IncompleteReadError, EOFError):
            self._drop()
            await asyncio.sleep(0.005)
            return False
        if status in {200, 202}:
            write.acknowledged_at = time.monotonic()
        elif status == 503:
            # of a keyed write, an earlier try may have been accepted
            write.refused = not self._keyed
            await asyncio.sleep(0.01)
            return not self._keyed
        elif status == 409:
            await asyncio.sleep(0.02)
            return False
        elif status != 502:
            raise AssertionError(f"{write.id}: answered {status}")
        return True

    async def _connected(self) -> bool:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_unix_connection(self._socket)
            except OSError:  # the process is dead and the next one not yet there
                await asyncio.sleep(0.005)
        return self._streams is not None

    async def _exchange(self, write: Sent) -> int:
        if not await self._connected():
            raise ConnectionError("nobody listens")
        assert self._streams is not None
        reader, writer = self._streams
        # the same at each try; a few go to a spool file
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
        if self._later:
            head += "Prefer: respond-async\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = answer.rstrip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close" or self._random.random() < 0.05:
            self._drop()
        return int(first.split(" ")[1])

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
