"""One HTTP client: sends a request as asked, also badly, and reads the response with care."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

from tests.workload.wire import LIMIT, Head, Malformed, read_chunks, read_head


@dataclasses.dataclass(frozen=True, slots=True)
class Manner:
    """How a request is sent.

    ``leave``: "body" or "response": the part for which the client does not wait. ``pause``: seconds
    between two of the ``pieces`` of the body.
    """

    name: str = "plain"
    chunked: bool = False
    pieces: int = 1
    pause: float = 0.0
    leave: str = ""
    expect: bool = False
    old: bool = False  # HTTP/1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """A response. ``whole``: its body has its announced length."""

    status: int
    head: Head
    body: bytes
    whole: bool


class Left(Exception):
    """The client has left as planned. ``args[0]``: whether it had sent the whole request."""


class Dropped(Exception):
    """The connection ended without a response."""


class HttpClient:
    """Keeps one connection.

    ``whole``: whether the last request was sent completely. ``reused``: whether its connection has
    had a response before.
    """

    def __init__(self, port: int, address: str, patience: float) -> None:
        """``address``: the client's own. ``patience``: seconds for one exchange."""
        self._port = port
        self._address = address
        self._patience = patience
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.whole = False
        self.reused = False

    def close(self) -> None:
        """Close the connection as a client does that ends."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def exchange(
        self, method: str, url: str, fields: list[str], body: bytes, manner: Manner
    ) -> Reply:
        """Send a request and return its response.

        Raises Left, Dropped, or TimeoutError. The next exchange takes a new connection if this one
        cannot be used again.
        """
        self.whole = False
        head = self._head(method, url, fields, body, manner)
        try:
            async with asyncio.timeout(self._patience):
                reader, writer = await self._open()
                return await self._talk(reader, writer, head, method, body, manner)
        except (OSError, Malformed, asyncio.IncompleteReadError) as exc:
            if isinstance(exc, TimeoutError):
                raise
            raise Dropped(repr(exc)) from exc
        finally:
            if self._broken:
                self.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._broken = True  # until the response says otherwise
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        self.reused = self._streams is not None
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(self._address, 0), limit=LIMIT
            )
        return self._streams

    @staticmethod
    def _head(method: str, url: str, fields: list[str], body: bytes, manner: Manner) -> bytes:
        lines = [f"{method} {url} HTTP/1.{0 if manner.old else 1}", *fields]
        if manner.chunked:
            lines.append("Transfer-Encoding: chunked")
        elif body:
            lines.append(f"Content-Length: {len(body)}")
        if manner.expect:
            lines.append("Expect: 100-continue")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, method: str,
        body: bytes, manner: Manner,
    ) -> Reply:  # fmt: skip
        go_on = asyncio.Event()
        sending = asyncio.create_task(self._send(writer, head, body, manner, go_on))
        receiving = asyncio.create_task(self._receive(reader, method, go_on))
        try:
            await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(sending.exception(), Left):
                raise Left(self.whole)
            if sending.done() and manner.leave == "response" and not receiving.done():
                await asyncio.wait({receiving}, timeout=manner.pause)
                if not receiving.done():
                    raise Left(True)
            reply, keep = await receiving
            self._broken = not (keep and self.whole and not manner.old)
            return reply
        finally:
            for task in (sending, receiving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _send(
        self, writer: asyncio.StreamWriter, head: bytes, body: bytes, manner: Manner,
        go_on: asyncio.Event,
    ) -> None:  # fmt: skip
        writer.write(head)
        if manner.expect:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(go_on.wait(), 1.0)
        size = len(body) // manner.pieces + 1
        for start in range(0, len(body), size):
            if start and manner.pause and manner.leave != "response":
                await asyncio.sleep(manner.pause)
            piece = body[start : start + size]
            if manner.leave == "body" and start + size >= len(body):
                await writer.drain()
                raise Left(False)
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if manner.chunked else piece)
            await writer.drain()
        if manner.chunked:
            writer.write(b"0\r\n\r\n")
        self.whole = True
        await writer.drain()

    @staticmethod
    async def _receive(
        reader: asyncio.StreamReader, method: str, go_on: asyncio.Event
    ) -> tuple[Reply, bool]:
        while True:
            head = await read_head(reader)
            if head is None:
                raise Dropped("closed")
            version, _, rest = head.first.partition(" ")
            status = int(rest[:3])
            if status >= 200:
                break
            if status == 100:
                go_on.set()
        keep = version == "HTTP/1.1" and "close" not in head.tokens("connection")
        whole, body = True, b""
        length = head.get("content-length")
        try:
            if method == "HEAD" or status in {204, 304}:
                pass
            elif "chunked" in head.tokens("transfer-encoding"):
                body = await read_chunks(reader)
            elif length is not None:
                body = await reader.readexactly(int(length))
            else:
                body, keep = await reader.read(-1), False
        except (OSError, ValueError, asyncio.IncompleteReadError):
            whole, keep = False, False
        return Reply(status, head, body, whole), keep
