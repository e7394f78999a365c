"""Responses with large bodies: they are in files, which are deleted in time."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from nova_cachemig.agent.journal.spool import SpoolFile
from nova_cachemig.agent.replay import adapter
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, reached, service
from tests.functional.replay.raw import Connection, RawGuest

SIZE = 3_000_000  # bytes; no multiple of a chunk


class LargeResponseTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.body = os.urandom(SIZE)
        self.gate = asyncio.Event()
        self.gate.set()
        self.close = False

    def options(self) -> dict[str, Any]:
        return {}

    async def respond(self, request: Connection) -> bool:
        await request.body()
        await self.gate.wait()
        body = self.body if b"/large" in request.head else b"small"
        framing = b"" if self.close else b"content-length: %d\r\n" % len(body)
        await request.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + body)
        return not self.close

    async def started(self, **journal: Any) -> Writes:
        if not hasattr(self, "guest"):
            self.guest = RawGuest(self.respond)
            await self.guest.start()
            self.addAsyncCleanup(self.guest.stop)
        writes = Writes(conf_for(self.directory, **self.options(), **journal))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service(honours_keys=True))
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        return writes

    def assert_body(self, response: httpx.Response) -> None:
        """The response has the whole body. A failure shows the lengths only."""
        same = response.content == self.body
        self.assertTrue(same, f"{len(response.content)} of {len(self.body)} bytes")

    def files(self) -> list[str]:
        return [path.name for path in (self.directory / "spool").iterdir()]

    async def no_files(self) -> None:
        """Return when the spool is empty; fail after 10 s."""
        async with asyncio.timeout(10):
            while self.files():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def test_the_client_gets_the_body_and_the_file_is_deleted(self) -> None:
        writes = await self.started()
        async with client(writes.intake_socket) as http:
            for self.close in (False, True):
                for method in ("POST", "PUT"):
                    with self.subTest(close=self.close, method=method):
                        got = await http.request(method, "/large", content=b"x" * 100_000)
                        self.assertEqual((200, True), (got.status_code, got.content == self.body))
        await self.no_files()

    async def test_responses_stay_in_order_on_a_connection(self) -> None:
        writes = await self.started()
        async with client(writes.intake_socket) as http, asyncio.timeout(30):
            await http.put("/first")
            await writes.hold("shop")
            urls = [f"/{'large' if n % 2 else 'small'}/{n}" for n in range(12)]
            tasks = []
            for number, url in enumerate(urls):
                tasks.append(asyncio.create_task(http.put(url)))
                await reached(writes, "waiting", number + 1)
            await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            got = await asyncio.gather(*tasks)
        expected = [self.body if "large" in url else b"small" for url in urls]
        self.assertTrue(all(r.content == body for r, body in zip(got, expected, strict=True)))
        self.assertEqual(13, len(self.guest.heads))
        await self.no_files()

    async def test_a_kept_response_is_served_again_also_after_a_restart(self) -> None:
        key = {"idempotency-key": '"k"'}
        writes = await self.started()
        async with client(writes.intake_socket) as http:
            first = await http.post("/large", content=b"x", headers=key)
            self.assert_body(first)
            again = await http.post("/large", content=b"x", headers=key)
            self.assert_body(again)
        self.assertEqual(1, len(self.files()))
        await writes.stop()
        writes = await self.started()
        async with client(writes.intake_socket) as http:
            again = await http.post("/large", content=b"x", headers=key)
            self.assert_body(again)
        self.assertEqual(1, self.guest.count("POST"))

    async def test_a_status_url(self) -> None:
        writes = await self.started(hold_timeout=0.05)
        self.gate.clear()
        async with client(writes.intake_socket) as http:
            late = await http.post("/large", content=b"x")
            self.assertEqual(202, late.status_code)
            self.gate.set()
            await reached(writes, "responded", 1)
            got = await http.get(late.headers["location"])
        self.assert_body(got)

    async def test_a_client_that_has_left(self) -> None:
        writes = await self.started()
        self.gate.clear()
        async with client(writes.intake_socket) as http:
            task = asyncio.create_task(http.post("/large", content=b"x"))
            await self.guest.arrived(1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.gate.set()
        await reached(writes, "responded", 1)
        self.assertEqual(1, self.guest.count("POST"))
        await self.no_files()

    async def test_no_room_on_the_disk(self) -> None:
        """The client that waits gets the body, if the part in the file can be read."""
        writes = await self.started()
        for method in ("write", "seal"):
            with (
                self.subTest(method),
                mock.patch.object(SpoolFile, method, side_effect=OSError(28)),
            ):
                async with client(writes.intake_socket) as http, asyncio.timeout(10):
                    got = await http.post("/large", content=b"x")
                    self.assertEqual(200, got.status_code)
                    self.assert_body(got)
                    self.assertEqual(200, (await http.post("/small", content=b"x")).status_code)
        self.assertEqual(0, (await writes.counts("shop")).in_doubt)
        await self.no_files()

    async def test_beyond_the_budget_small_bodies_are_in_files_too(self) -> None:
        self.body = os.urandom(30_000)
        with mock.patch.object(adapter, "_MEMORY", -1):
            writes = await self.started()
            spool = writes.journal.spool
            with mock.patch.object(spool, "open", wraps=spool.open) as opened:
                async with client(writes.intake_socket) as http:
                    got = await http.post("/large", content=b"x")
                    self.assert_body(got)
                    self.assertEqual("small", (await http.post("/b", content=b"x")).text)
        opened.assert_called_once()
        await self.no_files()


class EncryptedLargeResponseTest(LargeResponseTest):
    """All of it with encrypted files."""

    def options(self) -> dict[str, Any]:
        keys = self.directory / "keys"
        if not keys.exists():
            keys.write_text(f"one {base64.b64encode(bytes(32)).decode()}\n")
            keys.chmod(0o600)
        return {"encryption": "file", "key_file": str(keys)}
