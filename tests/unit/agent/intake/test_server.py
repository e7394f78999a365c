"""The intake's socket, its connections and their end."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from nova_cachemig.agent.intake.http import RequestHead, Response
from nova_cachemig.agent.intake.server import IntakeServer
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.model.write import Body
from tests.functional.replay.path import conf_for

REQUEST = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"


class IntakeServerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "intake.sock"
        self.alive = Path(directory.name) / "intake.alive"
        self.spool = Spool(Path(directory.name) / "spool")
        self.spool.prepare()
        self.conf = conf_for(directory.name)
        self.entered, self.leave = asyncio.Event(), asyncio.Event()
        self.leave.set()

    async def handle(self, _head: RequestHead, body: Body, _arrival: object = None) -> Response:
        self.entered.set()
        await self.leave.wait()
        return Response(200, (), body)

    async def begin(self) -> IntakeServer:
        handler: Any = mock.Mock(handle=self.handle)
        handler.refuse.return_value = None
        handler.arrival.return_value = None
        handler.admission.max_body = 1 << 30
        server = IntakeServer(self.conf, handler, self.spool, self.path)
        await server.start()
        self.addAsyncCleanup(server.stop, 0.0)
        self.addAsyncCleanup(server.stop_listening)
        return server

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        self.addCleanup(writer.close)
        return reader, writer

    async def check(self) -> bytes:
        """Return the response to the edge's check."""
        reader, writer = await asyncio.open_unix_connection(str(self.alive))
        self.addCleanup(writer.close)
        writer.write(b"GET /alive HTTP/1.1\r\nHost: agent\r\n\r\n")
        return await reader.read()

    async def test_the_check_fails_as_soon_as_no_write_is_accepted(self) -> None:
        server = await self.begin()
        await server.stop_listening()
        with self.assertRaises(OSError):
            await self.check()
        self.assertFalse(self.path.exists() or self.alive.exists())

    def files(self) -> list[Path]:
        return list(self.spool.directory.iterdir())

    async def test_only_the_agents_user_can_connect(self) -> None:
        before = os.umask(0o022)
        os.umask(before)
        await self.begin()
        for path in (self.path, self.alive):
            self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        after = os.umask(before)
        self.assertEqual(before, after)

    async def test_a_path_that_cannot_be_bound(self) -> None:
        self.path = self.path / "below" / "intake.sock"
        with self.assertRaisesRegex(JournalError, "cannot listen on the intake socket"):
            await self.begin()

    async def test_a_socket_of_an_earlier_agent_is_replaced(self) -> None:
        self.path.write_text("")
        self.alive.write_text("")
        await self.begin()
        reader, writer = await self.connect()
        writer.write(REQUEST)
        self.assertIn(b"200 OK", await reader.readuntil(b"ok"))
        self.assertIn(b" 204 ", await self.check())

    async def test_stop_waits_for_the_response_in_progress(self) -> None:
        server = await self.begin()
        self.leave.clear()
        reader, writer = await self.connect()
        writer.write(REQUEST)
        await self.entered.wait()
        await server.stop_listening()
        with self.assertRaises(OSError):
            await self.connect()
        stopping = asyncio.create_task(server.stop(60.0))
        await asyncio.sleep(0)
        self.assertFalse(stopping.done())
        self.leave.set()
        self.assertIn(b"200 OK", await reader.read())
        await stopping

    async def test_stop_deletes_the_file_of_half_a_body(self) -> None:
        self.conf.set_override("spool_threshold", 4096, "journal")
        server = await self.begin()
        _, writer = await self.connect()
        writer.write(
            REQUEST.replace(b"Content-Length: 2", b"Content-Length: 900000") + bytes(99999)
        )
        async with asyncio.timeout(20):
            while not self.files():  # noqa: ASYNC110
                await asyncio.sleep(0)
        await server.stop(0.0)
        self.assertEqual([], self.files())

    async def test_a_stalled_request_is_closed_and_an_idle_connection_is_not(self) -> None:
        self.conf.set_override("body_timeout", 0.1, "journal")
        await self.begin()
        idle, idle_writer = await self.connect()
        half, half_writer = await self.connect()
        half_writer.write(REQUEST[:-1])
        async with asyncio.timeout(20):
            self.assertEqual(b"", await half.read())
        idle_writer.write(REQUEST)
        self.assertIn(b"200 OK", await idle.readuntil(b"ok"))

    async def test_the_file_of_a_response_is_closed_in_a_thread(self) -> None:
        """A file that is deleted by now is freed then, which takes long if it is large."""
        server = await self.begin()
        closed: asyncio.Queue[int] = asyncio.Queue()
        loop, here = asyncio.get_running_loop(), threading.get_ident()

        def content() -> Iterator[bytes]:
            try:
                yield b"o"
                yield b"k"
            finally:
                loop.call_soon_threadsafe(closed.put_nowait, threading.get_ident())

        async def handle(_head: RequestHead, _body: Body, _arrival: object) -> Response:
            return Response(200, (), Body(spool="x", length=2, content=content()))

        server.handler.handle = handle  # type: ignore[method-assign]
        reader, writer = await self.connect()
        writer.write(REQUEST)
        self.assertIn(b"200 OK", await reader.readuntil(b"ok"))
        async with asyncio.timeout(20):
            self.assertNotEqual(here, await closed.get())
