"""A guest that records what it gets, and answers each case with the bytes of that case."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections import defaultdict
from collections.abc import Sequence

from tests.functional.engine.servers import Guest
from tests.functional.twin import wire
from tests.functional.twin.case import Answer, Case

_MARK = re.compile(r"[0-9a-f]{12}")
_FOREIGN = "unmarked"


class RecordingGuest(Guest):
    """``got`` has the requests of each case, by its mark. ``running`` cleared: it is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.got: dict[str, list[wire.Message]] = defaultdict(list)
        self._answers: dict[str, Answer] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Listen on a socket of the test."""
        self.address, self.port = sock.getsockname()
        self._server = await asyncio.start_server(self._converse, sock=sock, limit=1 << 22)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def answer(self, cases: Sequence[Case]) -> None:
        """Answer these cases from now on."""
        self._answers = {one.mark: one.answer for one in cases}
        self.got.clear()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                while await self._one(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        start, fields = await wire.read_head(reader)
        await self.running.wait()
        head = wire.Message(start, fields)
        marks = head.all("x-case") or _MARK.findall(start) or [_FOREIGN]
        reply = self._answers.get(marks[0], Answer(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
        whole = reply.head + (b"" if start.startswith("HEAD ") else reply.body)
        if reply.early:
            writer.write(whole)
        elif reply.interim:
            writer.write(reply.interim)
        elif "100-continue" in head.all("expect") and not start.endswith("/1.0"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        message = await wire.read_body(reader, head, to_the_end=False)
        await self.running.wait()
        self.got[marks[0]].append(message)
        if not reply.early:
            writer.write(whole)
        await writer.drain()
        if reply.echo:
            await self._echo(reader, writer)
        return not (reply.close or reply.echo or _ends(head))

    @staticmethod
    async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)


def _ends(head: wire.Message) -> bool:
    options = ",".join(head.all("connection")).lower()
    return "close" in options or (head.start.endswith("/1.0") and "keep-alive" not in options)
