"""An intake on its real socket, with a guest behind it."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import conf_for, service

HEAD = (
    b"POST /x HTTP/1.1\r\nHost: shop.example\r\nX-Cachemig-Service: shop\r\n"
    b"X-Cachemig-Client: 10.0.0.1\r\n"
)
WRITES_AT_ONCE = 400


class IntakeCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)

    async def begin(self, *, send: bool = True, **journal: object) -> Writes:
        self.writes = Writes(conf_for(self.directory, **journal))
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        await self.writes.open(service())
        if send:
            await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        return self.writes

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self.writes.intake_socket)
        self.addCleanup(writer.close)
        return reader, writer

    async def response(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status = int(head.split(" ")[1])
            if status == 100:
                return status, b""
            length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            return status, await reader.readexactly(length)

    def spooled(self) -> list[str]:
        return [path.name for path in (self.directory / "spool").iterdir()]
