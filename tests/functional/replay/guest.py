"""A guest that logs writes in the order of application."""

from __future__ import annotations

import asyncio
import dataclasses


@dataclasses.dataclass(frozen=True)
class Taken:
    """One request that the guest has applied."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class LoggingGuest:
    """HTTP/1.1 with keep-alive. ``honours_keys``: a repeated key gets the first response."""

    def __init__(self, *, honours_keys: bool = False, delay: float = 0.0) -> None:
        self.log: list[Taken] = []
        self.connections = 0
        self.honours_keys = honours_keys
        self.delay = delay
        self.drop_after_apply = 0  # so many next requests are applied, then the connection is cut
        self.close_after = 0  # the connection ends after this many responses
        self.status = 200
        self.extra = ""  # header lines, each with its \r\n
        self.gate = asyncio.Event()  # cleared: requests are read and get no response
        self.gate.set()
        self.arrived = asyncio.Event()
        self._grew = asyncio.Event()
        self._seen: dict[str, bytes] = {}
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    def bodies(self) -> list[bytes]:
        return [taken.body for taken in self.log]

    async def took(self, number: int) -> None:
        """Return once so many requests are applied."""
        while len(self.log) < number:
            self._grew.clear()
            await self._grew.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, url, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.arrived.set()
        await self.gate.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        key = headers.get("idempotency-key", "")
        response = self._seen.get(key) if self.honours_keys else None
        if response is None:
            self.log.append(Taken(method, url, headers, body))
            self._grew.set()
            text = f"applied {len(self.log)}\n".encode()
            response = (
                f"HTTP/1.1 {self.status} OK\r\ncontent-length: {len(text)}\r\n"
                f"x-guest: yes\r\n{self.extra}\r\n"
            ).encode() + text
            self._seen[key] = response
        if writer.transport.is_closing():
            return False  # uvloop's transport would raise RuntimeError
        if self.close_after:
            self.close_after -= 1
            writer.write(response.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            await writer.drain()
            return False
        if self.drop_after_apply:
            self.drop_after_apply -= 1
            writer.transport.abort()
            return False
        writer.write(response)
        await writer.drain()
        return True
