"""A TCP proxy before a database server that breaks connections while COMMIT runs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading

_LATE = 0.6  # seconds for which a COMMIT stays in the network
CUTS = ("before", "after", "late")
"""The COMMIT never arrives; its response is lost; it arrives after the client has given up."""


class CuttingProxy:
    """Listens on :attr:`port`, in a separate thread.

    Breaks the connection at a part of the COMMITs, in turn in the three ways of :data:`CUTS`.
    """

    def __init__(self, server_port: int, seed: int) -> None:
        self._server_port = server_port
        self.share = 0.0  # of the COMMITs that break
        self._random = random.Random(seed)
        self.cuts: list[str] = []
        self.refusing = threading.Event()  # it accepts no connection, and breaks every COMMIT
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop does not keep them
        self._server: asyncio.Server | None = None
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def isolate(self) -> None:
        """Break all connections, and accept none."""
        self.refusing.set()
        asyncio.run_coroutine_threadsafe(self._break_all(), self._loop).result(10)

    async def _break_all(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """Break all connections and end the thread."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._break_all()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing.is_set():
            writer.transport.abort()
            return
        server = await asyncio.open_connection("127.0.0.1", self._server_port)
        back = asyncio.create_task(self._copy(server[0], writer))
        try:
            while data := await reader.read(1 << 16):
                if b"COMMIT" in data and (cut := self._choose()) is not None:
                    await self._cut(cut, data, server, writer, back)
                    return
                server[1].write(data)
        except OSError:
            pass  # the other side has closed it
        finally:
            back.cancel()
            server[1].close()
            writer.close()

    def _choose(self) -> str | None:
        if not self.refusing.is_set() and self._random.random() >= self.share:
            return None
        self.cuts.append(CUTS[len(self.cuts) % len(CUTS)])
        return self.cuts[-1]

    async def _cut(
        self,
        cut: str,
        data: bytes,
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        writer: asyncio.StreamWriter,
        back: asyncio.Task[None],
    ) -> None:
        back.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await back
        if cut == "after":
            server[1].write(data)
            await server[0].read(1)
        writer.transport.abort()
        if cut == "late":
            await asyncio.sleep(_LATE)
            server[1].write(data)
            await server[0].read(1)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
