"""The guest, the intake and the client of the engine's tests."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from nova_cachemig.agent.ports import alive_socket
from nova_cachemig.model.service import Target

ALIVE = "/alive"  # HAProxy's check of the agent
SERVICE_HEADER = "x-cachemig-service"


@dataclasses.dataclass(frozen=True)
class Request:
    """A request that a server received; header names in lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


Handler = Callable[[Request], Awaitable[tuple[int, Mapping[str, str], bytes]]]


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head[:-4].split("\r\n")
    headers: dict[str, str] = {}
    for line in rest:
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return first, headers


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return body
    return await reader.readexactly(int(headers.get("content-length", 0)))


def encode(method: str, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a response with a Content-Length, except where HTTP has none."""
    head = f"HTTP/1.1 {status} X\r\n"
    if not any(n.lower() == "content-length" for n in headers) and status not in {101, 304}:
        head += f"Content-Length: {len(body)}\r\n"
    head += "".join(f"{n}: {v}\r\n" for n, v in headers.items())
    return f"{head}\r\n".encode("latin-1") + (b"" if method == "HEAD" or status == 101 else body)


class Server:
    """HTTP/1.1 with keep-alive over any listening socket."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self.seen: list[Request] = []
        self.connections = 0  # so far
        self.responding = 0  # requests in progress
        self.most = 0  # requests in progress at the same time, so far
        self.closes_idle = False  # when the next request arrives
        self.keep_alive: float | None = None  # seconds until it closes an idle connection
        self.running = asyncio.Event()  # cleared: the process is paused
        self.running.set()
        self.gates: dict[str, asyncio.Event] = {}

    @property
    def open(self) -> int:
        """The connections that this server has not closed."""
        return len(self._writers)

    async def start(self, sock: socket.socket) -> None:
        self._servers.append(await asyncio.start_server(self._serve, sock=sock))

    def close_idle(self) -> None:
        """Close all connections that wait for a request."""
        for writer in tuple(self._writers):
            writer.close()

    async def stop(self) -> None:
        while self._servers:
            self._servers.pop().close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        reused = False
        try:
            while True:
                async with asyncio.timeout(self.keep_alive if reused else None):
                    first, headers = await read_head(reader)
                method, url, _ = first.split(" ", 2)
                request = Request(method, url, headers, await read_body(reader, headers))
                if url == ALIVE and SERVICE_HEADER not in headers:
                    await self.running.wait()
                    writer.write(encode(method, 204, {}, b""))
                    continue
                if self.closes_idle and reused:
                    return
                reused = True
                self.seen.append(request)
                self.responding += 1
                self.most = max(self.most, self.responding)
                try:
                    status, extra, body = await self._handler(request)
                finally:
                    self.responding -= 1
                await self.running.wait()
                whole = encode(method, status, extra, body)
                if (gate := self.gates.get(url)) is not None:  # stop in the middle of the body
                    writer.write(whole[:-1])
                    await gate.wait()
                    await self.running.wait()
                    whole = whole[-1:]
                writer.write(whole)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):  # TimeoutError is an OSError
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


class Guest(Server):
    """Each response's body is the number of the request; ``rules`` sets headers by path."""

    def __init__(self) -> None:
        super().__init__(self._respond)
        self.rules: dict[str, dict[str, str]] = {}
        self.statuses: dict[str, int] = {}
        self.bodies: dict[str, bytes] = {}
        self.delays: dict[str, float] = {}
        self.arrived = asyncio.Event()
        self.address = "127.0.0.1"
        self.port = 0

    async def start(self, sock: socket.socket) -> None:
        self.address, self.port = sock.getsockname()
        await super().start(sock)

    @property
    def target(self) -> Target:
        return Target(self.address, self.port)

    async def asked(self) -> None:
        """Return when a request has arrived."""
        async with asyncio.timeout(5):
            await self.arrived.wait()

    def count(self, url: str) -> int:
        return Counter(request.url for request in self.seen)[url]

    async def _respond(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        path = request.url.partition("?")[0]
        number = len(self.seen)
        self.arrived.set()
        if path in self.delays:
            await asyncio.sleep(self.delays[path])
        body = self.bodies.get(path, f"{number}".encode())
        return self.statuses.get(path, 200), self.rules.get(path, {}), body


class Intake(Server):
    """Replaces the agent's intake: sends each write to the guest while the gate is open."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(self._respond)
        self._guest = guest
        self.gate = asyncio.Event()
        self.gate.set()

    async def listen(self, path: str) -> None:
        """Listen for writes, and for the checks of the edge."""
        for one in (path, alive_socket(path)):
            await self._listen(one)

    async def _listen(self, path: str) -> None:
        sock = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - left by a dead agent
        sock.bind(path)
        sock.listen(1024)
        sock.setblocking(False)
        await super().start(sock)

    async def _respond(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        await self.gate.wait()
        response = await fetch(
            (self._guest.address, self._guest.port),
            request.url,
            method=request.method,
            headers={"Host": request.headers.get("host", "")},
            body=request.body,
        )
        return response.status, {"X-From": "intake"}, response.body


async def exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Response:
    began = time.monotonic()
    lines = {"Host": "shop.example", **(headers or {})}
    if body or method not in {"GET", "HEAD", "OPTIONS"}:
        lines.setdefault("Content-Length", str(len(body)))
    text = "".join(f"{n}: {v}\r\n" for n, v in lines.items() if v)
    writer.write(f"{method} {url} HTTP/1.1\r\n{text}\r\n".encode() + body)
    first, got = await read_head(reader)
    status = int(first.split(" ")[1])
    length = int(got.get("content-length", 0))
    whole = b""
    if method != "HEAD" and status not in {204, 304}:
        chunked = "transfer-encoding" in got
        whole = await read_body(reader, got) if chunked else await reader.readexactly(length)
    return Response(status, got, whole, time.monotonic() - began)


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait for a change in another process, which sends no event."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def connect(
    where: tuple[str, int], source: str | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect without the kernel's retransmissions of SYN, which come after 1, 3 and 7 s."""
    while True:
        try:
            async with asyncio.timeout(0.1):
                local = (source, 0) if source else None
                return await asyncio.open_connection(*where, local_addr=local)
        except TimeoutError:
            continue


async def fetch(
    where: tuple[str, int] | str,
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 30,
    source: str | None = None,
) -> Response:
    """Send one request on a new connection; ``where`` is an address or a unix socket.

    ``source``: the client's address.
    """
    async with asyncio.timeout(timeout):
        if isinstance(where, str):
            reader, writer = await asyncio.open_unix_connection(where)
        else:
            reader, writer = await connect(where, source)
        try:
            return await exchange(reader, writer, url, method, headers, body)
        finally:
            writer.close()


def loopback() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(1024)
    sock.setblocking(False)
    return sock
