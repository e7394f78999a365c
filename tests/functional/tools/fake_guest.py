"""A guest's service in one process: pages, items, and the log of writes, as the real guest has.

Faults can be planted by request: a write is acknowledged and lost, applied twice, or applied late,
and an item's reads tell an old sequence number.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import hashlib


@dataclasses.dataclass
class Faults:
    """Every n-th write (0: none) suffers this."""

    lose: int = 0
    double: int = 0
    fail: int = 0  # get a 503
    stale_items: bool = False
    accept: bool = False  # 202 for writes that prefer it


class FakeGuest:
    """Serves on loopback; ``applied`` is the log."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.applied: list[tuple[str, str, str, str, str, str]] = []
        self.seen = 0  # requests
        self.url = ""
        self._faults = faults or Faults()
        self._writes = 0
        self._last: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.awake = asyncio.Event()  # while it is not set, no request gets a response
        self.awake.set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen; the URL is given back."""
        self._server = await asyncio.start_server(self._serve, host, port, backlog=1024)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{host}:{port}"
        return self.url

    async def stop(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()

    async def forever(self) -> None:
        """Serve until cancelled."""
        assert self._server is not None
        await self._server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.seen += 1
        await self.awake.wait()
        status, extra, content = self._respond(method, target, headers, body)
        keep = headers.get("connection", "").lower() != "close"
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *extra]
        if not keep:
            lines.append("Connection: close")
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        await writer.drain()
        return keep

    def _respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[str], bytes]:
        path = target.partition("?")[0]
        if path == "/health":
            return 200, ["Cache-Control: no-store"], b"ok\n"
        if path == "/log":
            lines = ("\t".join((str(n), *entry)) for n, entry in enumerate(self.applied, 1))
            return 200, ["Cache-Control: no-store"], "".join(f"{x}\n" for x in lines).encode()
        if path.startswith("/item/"):
            return self._item(method, path, headers, body)
        if path.startswith("/page/"):
            forbid = "no-cache" if path.endswith("9") else "max-age=60"
            return 200, [f"Cache-Control: {forbid}"], b"page " * 400
        return 404, [], b"not found\n"

    def _item(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[str], bytes]:
        if method == "GET":
            seq = 0 if self._faults.stale_items else self._last.get(path, 0)
            return 200, ["Cache-Control: max-age=60", f"X-Write-Seq: {seq}"], b"item\n"
        self._writes += 1
        if self._hit(self._faults.fail):
            return 503, [], b"no\n"
        times = 0 if self._hit(self._faults.lose) else 2 if self._hit(self._faults.double) else 1
        digest = hashlib.sha1(body).hexdigest() if body else "-"
        entry = (method, path, headers["x-client-id"], headers["x-request-id"], "-", digest)
        for _ in range(times):
            self.applied.append(entry)
            self._last[path] = len(self.applied)
        status = 202 if self._faults.accept and headers.get("prefer") == "respond-async" else 200
        return (
            status,
            ["Cache-Control: no-store", f"X-Write-Seq: {self._last.get(path, 0)}"],
            b"1\n",
        )

    def _hit(self, every: int) -> bool:
        return bool(every) and self._writes % every == 0


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    args = parser.parse_args()
    guest = FakeGuest()
    print(await guest.start(args.host, args.port), flush=True)
    await guest.forever()


if __name__ == "__main__":
    asyncio.run(_main())
