"""Clients of the intake or of the edge. Each keeps a log of its requests and their responses."""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from tests.crashing.oplog import Read, Sent
from tests.functional.engine.servers import read_body, read_head

PAGES: Final = 8  # URLs that all clients use
_READS: Final = 0.35  # share of the requests to the edge
_THINK: Final = 0.1  # seconds at most between two requests to the edge
_SLOW_BODY: Final = 0.15  # share of the writes whose body comes in two parts
_PROBLEM: Final = "application/problem+json"  # the type of the journal's own responses
_BROKEN = (ConnectionError, asyncio.IncompleteReadError, EOFError, ValueError)


class Reply(NamedTuple):
    """A response; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wire:
    """One keep-alive connection at a time, to the intake's socket or to the edge's address."""

    def __init__(self, where: str | tuple[str, int], source: str = "") -> None:
        """``source``: the address from which to connect to the edge."""
        self._where = where
        self._source = source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connected(self) -> bool:
        """Whether a process listens. Returns after a moment if none does."""
        if self._streams is None:
            try:
                if isinstance(self._where, str):
                    self._streams = await asyncio.open_unix_connection(self._where)
                else:
                    self._streams = await asyncio.open_connection(
                        *self._where, local_addr=(self._source, 0)
                    )
            except OSError:  # the process is dead, and the next one has not started
                await asyncio.sleep(0.005)
        return self._streams is not None

    async def exchange(self, head: str, body: bytes = b"", pause: float = 0.0) -> Reply:
        """Send a request, with a pause of ``pause`` seconds in its body, and read the response."""
        if not await self.connected():
            raise ConnectionError("no process listens")
        assert self._streams is not None
        reader, writer = self._streams
        first = len(body) // 2 if pause else len(body)
        writer.write(head.encode() + body[:first])
        if pause:
            await asyncio.sleep(pause)
            if writer.transport.is_closing():  # uvloop raises RuntimeError there
                raise ConnectionError("closed during the body")
            writer.write(body[first:])
        await writer.drain()
        line, headers = await read_head(reader)
        content = await read_body(reader, headers)
        if headers.get("connection", "").lower() == "close":
            self.drop()
        return Reply(int(line.split(" ")[1]), headers, content)

    def drop(self) -> None:
        """Break the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class Client:
    """Does one thing after the other.

    ``keyed``: repeats a write with the same key until it gets a response. ``respond_async``: asks
    for a 202. ``edge``: also reads, because the other end is the edge.
    """

    def __init__(
        self, name: str, wire: Wire, *, keyed: bool, respond_async: bool, seed: int, edge: bool
    ) -> None:
        self.name = name
        self.oplog: list[Sent] = []
        self.reads: list[Read] = []
        self.crossed: list[str] = []  # what it got although it is another's
        self.refused = 0  # writes
        self._wire = wire
        self._keyed = keyed
        self._respond_async = respond_async
        self._edge = edge
        self._random = random.Random(seed)
        self._newest = ""  # the page of its newest write

    async def run(self, stop: asyncio.Event) -> None:
        """Write and read until ``stop`` is set."""
        while not stop.is_set():
            if not await self._wire.connected():
                continue
            if self._edge:
                await asyncio.sleep(self._random.random() * _THINK)
                if self._random.random() < _READS:
                    await self._read()
                    continue
            write = self._new_write()
            while not await self._try(write) and self._keyed and not stop.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def close(self) -> None:
        """Break the connection."""
        self._wire.drop()

    # --- reads

    async def _read(self) -> None:
        """Read the page that it has written last, or one that others write."""
        page = self._newest if self._random.random() < 0.6 else ""
        page = page or f"/{self._random.randrange(PAGES)}"
        at = time.monotonic()
        try:
            reply = await self._wire.exchange(f"GET {page} HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        except _BROKEN:
            self._wire.drop()
            return
        if reply.status == 200:
            shown, _, value = reply.body.decode("latin-1").partition(" ")
            if shown != page:
                self.crossed.append(f"{self.name}: read {page}, got {shown}")
            self.reads.append(Read(page, at, value or None))
        elif reply.status not in {502, 503, 504}:
            raise AssertionError(f"read of {page}: status {reply.status}")

    # --- writes

    def _new_write(self) -> Sent:
        method = self._random.choice(("PUT", "POST", "POST", "DELETE"))
        name = f"{self.name}-{len(self.oplog)}"
        # Half of the writes go to a few URLs that all clients use.
        url = f"/{name}" if self._random.random() < 0.5 else f"/{self._random.randrange(PAGES)}"
        write = Sent(name, self.name, method, time.monotonic(), url=url)
        self.oplog.append(write)
        self._newest = url
        return write

    async def _try(self, write: Sent) -> bool:
        """Send the write once. Returns whether its outcome is known."""
        slow = self._random.random() < _SLOW_BODY
        try:
            reply = await self._wire.exchange(
                self._head(write), _body(write), self._random.random() * 0.03 if slow else 0.0
            )
        except _BROKEN:
            self._wire.drop()
            await asyncio.sleep(0.005)
            return False
        if self._random.random() < 0.05:
            self._wire.drop()
        return await self._judge(write, reply)

    async def _judge(self, write: Sent, reply: Reply) -> bool:
        status, ours = reply.status, reply.headers.get("content-type") == _PROBLEM
        write.status_url = reply.headers.get("location", write.status_url)
        if status in {200, 202}:
            write.acknowledged_at = time.monotonic()
            if status == 200 and reply.body != write.id.encode():
                self.crossed.append(f"{write.id}: got {reply.body[:80]!r}")
        elif status == 503:
            # An earlier try of a keyed write may have been accepted. The edge's own 503 says
            # nothing about the write.
            refused = ours and not self._keyed
            write.refused = refused
            self.refused += refused
            await asyncio.sleep(0.01)
            return not self._keyed
        elif status == 409:
            await asyncio.sleep(0.02)
            return False
        elif status == 504:
            return not self._keyed
        elif status == 502:
            write.told_in_doubt = ours
            return ours or not self._keyed
        else:
            raise AssertionError(f"{write.id}: status {status}")
        return True

    def _head(self, write: Sent) -> str:
        head = (
            f"{write.method} {write.url} HTTP/1.1\r\nHost: shop.example\r\n"
            f"X-Write: {write.id}\r\nContent-Length: {len(_body(write))}\r\n"
        )
        if not self._edge:
            head += f"X-Cachemig-Service: shop\r\nX-Cachemig-Client: {self.name}\r\n"
        if self._keyed:
            head += f'Idempotency-Key: "{write.id}"\r\n'
        if self._respond_async:
            head += "Prefer: respond-async\r\n"
        return f"{head}\r\n"


def _body(write: Sent) -> bytes:
    """Return the same body at each try. A few are large enough for a spool file."""
    size = 100_000 if zlib.crc32(write.id.encode()) % 50 == 0 else 1000
    return write.id.encode() + b" " + b"x" * size
