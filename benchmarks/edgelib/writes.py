"""A guest that takes writes, and wrk's scripts that send them."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import httptools

from benchmarks.edgelib.rig import StartGuest

ROOT = Path(__file__).resolve().parents[2]
INSTANT, ORDINARY, SLOW = "/instant", "/ordinary", "/slow"

_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
_SCRIPT = """
wrk.method = "POST"
wrk.body = string.rep("x", {body})
wrk.headers["Content-Type"] = "application/octet-stream"
local page = 0
request = function()
    page = (page + 1) % {pages}
    return wrk.format(nil, "{path}/" .. page)
end
"""


def script(path: str, *, body: int, pages: int) -> str:
    """Return a script of wrk: POSTs of ``body`` bytes to each of the pages under ``path``."""
    return _SCRIPT.format(path=path, body=body, pages=pages)


def guest(core: int | None, ordinary: float, slow: float) -> StartGuest:
    """Return what starts the guest on this core. Writes take it this number of seconds."""

    async def start(_root: Path, port: int) -> Process:
        pin = "-" if core is None else str(core)
        words = (str(port), str(ordinary), str(slow), pin)
        argv = (sys.executable, "-m", "benchmarks.edgelib.writes", *words)
        return await asyncio.create_subprocess_exec(*argv, cwd=ROOT)

    return start


class _Guest(asyncio.Protocol):
    """Responds immediately, or later to the URLs that begin with a key of ``seconds``."""

    def __init__(self, seconds: dict[bytes, float]) -> None:
        self._seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_message_complete(self) -> None:
        for path, seconds in self._seconds.items():
            if self._url.startswith(path):
                asyncio.get_running_loop().call_later(seconds, self._respond)
                return
        self._respond()

    def _respond(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_RESPONSE)


async def _serve(port: int, seconds: dict[bytes, float]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Guest(seconds), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Serve until a signal ends the process: port, seconds of two kinds, core or "-"."""
    import uvloop

    port, ordinary, slow, core = sys.argv[1:]
    if core != "-":
        os.sched_setaffinity(0, {int(core)})
    seconds = {ORDINARY.encode(): float(ordinary), SLOW.encode(): float(slow)}
    uvloop.run(_serve(int(port), seconds))


if __name__ == "__main__":
    main()
