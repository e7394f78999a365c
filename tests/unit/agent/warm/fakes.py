"""A cache on a unix socket for the warmer: real sockets, scripted responses."""

from __future__ import annotations

import asyncio
import dataclasses
import pathlib
import tempfile
from collections.abc import Awaitable, Callable


@dataclasses.dataclass
class Reply:
    """``served`` is the engine's header; None leaves it out."""

    body: bytes = b""
    status: int = 200
    served: str | None = "stored"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    raw: bytes | None = None  # sent instead of the other fields
    close: bool = False

    def encode(self) -> bytes:
        if self.raw is not None:
            return self.raw
        headers = {"Content-Length": str(len(self.body)), **self.headers}
        if self.served is not None:
            headers["X-Cachemig-Served"] = self.served
        lines = [f"HTTP/1.1 {self.status} OK", *(f"{k}: {v}" for k, v in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body


@dataclasses.dataclass
class Request:
    url: str
    headers: dict[str, str]
    connection: int


Handler = Callable[[Request], Awaitable[Reply] | Reply]


class FakeCache:
    """``respond`` may be replaced; ``requests`` has all received requests.

    Requests for ``/robots.txt`` get ``robots`` and are only counted. ``tries`` has the requests of
    proofs, which are not in ``requests``, and ``commits`` the URLs and values of the commits.
    """

    def __init__(self, respond: Handler) -> None:
        self.respond = respond
        self.requests: list[Request] = []
        self.tries: list[Request] = []
        self.commits: dict[str, int] = {}
        self.robots, self.robots_requests = Reply(b"", 404), 0
        self.opens: list[int] = []  # open requests at the arrival of each request
        self.open = self.most_open = self.connections = 0
        self._dir = tempfile.TemporaryDirectory(prefix="warm-")
        self.path = str(pathlib.Path(self._dir.name, "cache.sock"))
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.requests]

    async def __aenter__(self) -> FakeCache:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._dir.cleanup()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in rest)
                request = Request(first.split(" ")[1], headers, number)
                if request.url == "/robots.txt":
                    self.robots_requests += 1
                    writer.write(self.robots.encode())
                    await writer.drain()
                    continue
                if "x-cachemig-commit" in headers:
                    self.commits[request.url] = int(headers["x-cachemig-commit"])
                    writer.write(Reply(status=204, served="committed").encode())
                    await writer.drain()
                    continue
                tried = "x-cachemig-try" in headers
                (self.tries if tried else self.requests).append(request)
                self.open += 1
                self.opens.append(self.open)
                self.most_open = max(self.opens)
                try:
                    reply = self.respond(request)
                    if not isinstance(reply, Reply):
                        reply = await reply
                finally:
                    self.open -= 1
                writer.write(reply.encode())
                await writer.drain()
                if reply.close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self._tasks.discard(task)
