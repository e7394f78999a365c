"""Large responses to small writes with keys do not fill the disk."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, service

SIZE = 22 << 20  # bytes of a response


class LargeGuest:
    """Responds to everything with as many bytes."""

    async def start(self) -> None:
        self.requests = 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(1)
                self.requests += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
                writer.write(b"x" * SIZE)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    def stop(self) -> None:
        self._server.close()


class KeptTest(unittest.IsolatedAsyncioTestCase):
    async def test_ten_large_responses(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        guest = LargeGuest()
        await guest.start()
        self.addCleanup(guest.stop)
        writes = Writes(conf_for(directory.name, max_kept="48m"))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service())
        await writes.send_to("shop", Target("127.0.0.1", guest.port))
        before = used(Path(directory.name))
        async with client(writes.intake_socket) as http:
            for number in range(10):
                key = {"idempotency-key": f'"{number}"'}
                response = await http.post("/", content=b"x", headers=key)
                self.assertEqual((200, SIZE), (response.status_code, len(response.content)))
            # The kept responses, SQLite's log, and one response that is not yet counted.
            self.assertLess(used(Path(directory.name)) - before, (48 << 20) + 3 * SIZE)
            newest = await http.post("/", content=b"x", headers={"idempotency-key": '"9"'})
            oldest = await http.post("/", content=b"x", headers={"idempotency-key": '"0"'})
        self.assertEqual((200, SIZE), (newest.status_code, len(newest.content)))
        self.assertEqual(409, oldest.status_code)
        self.assertIn("with 200", oldest.json()["detail"])
        self.assertEqual(10, guest.requests)


def used(directory: Path) -> int:
    """Return the disk space of all files, in bytes."""
    return sum(path.stat().st_blocks * 512 for path in directory.rglob("*"))
