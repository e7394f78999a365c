"""The intake's limits on bodies, requests, memory and disk."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.intake import server
from nova_cachemig.model.service import Target
from tests.functional.intake.case import HEAD, IntakeCase
from tests.functional.replay.path import client, reached


class BoundsTest(IntakeCase):
    async def test_too_large_is_refused_before_the_body_arrives(self) -> None:
        await self.begin(max_body=1000)
        reader, writer = await self.connect()
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
        self.assertEqual(413, (await self.response(reader))[0])

    async def test_too_large_without_a_length(self) -> None:
        await self.begin(max_body=300_000)
        reader, writer = await self.connect()
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 8)
        self.assertEqual(413, (await self.response(reader))[0])
        await self.writes.stop()
        self.assertEqual([], self.spooled())
        self.assertEqual([], self.guest.log)

    async def test_bounds_refuse_before_acceptance(self) -> None:
        await self.begin(send=False, max_waiting=3)
        async with client(self.writes.intake_socket) as http:
            later = {"Prefer": "respond-async"}
            statuses = [(await http.post("/x", headers=later)).status_code for _ in range(5)]
            self.assertEqual([202, 202, 202, 503, 503], statuses)
            refused = await http.post("/x", headers=later)
            self.assertIn("retry-after", refused.headers)
            await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            await self.writes.drained("shop")
            self.assertEqual(200, (await http.post("/x")).status_code)
        self.assertEqual(4, len(self.guest.log))

    async def test_bytes_are_bounded_too(self) -> None:
        await self.begin(send=False, max_waiting_bytes=2500)
        async with client(self.writes.intake_socket) as http:
            later = {"Prefer": "respond-async"}
            for expected in (202, 202, 503):
                response = await http.post("/x", headers=later, content=b"z" * 1000)
                self.assertEqual(expected, response.status_code)

    async def test_uploads_together_do_not_pass_the_limits(self) -> None:
        """20 uploads whose heads arrive before any body."""
        for limits, framing, expected in (
            ({"max_waiting": 8}, b"Content-Length: 100000\r\n\r\n", 8),
            ({"max_waiting_bytes": 1_000_000}, b"Content-Length: 100000\r\n\r\n", 10),
            ({"max_waiting_bytes": 1_000_000}, b"Transfer-Encoding: chunked\r\n\r\n", 10),
        ):
            await self.begin(send=False, **limits)
            connections = [await self.connect() for _ in range(20)]
            for _, writer in connections:
                writer.write(HEAD + b"Prefer: respond-async\r\n" + framing)
                await writer.drain()
            await asyncio.sleep(0.1)
            for _, writer in connections:
                with contextlib.suppress(ConnectionError):
                    body = b"x" * 100_000
                    chunked = b"186a0\r\n" + body + b"\r\n0\r\n\r\n"
                    writer.write(body if b"Length" in framing else chunked)
                    await writer.drain()
            statuses = [(await self.response(reader))[0] for reader, _ in connections]
            counts = await self.writes.counts("shop")
            with self.subTest(limits, framing=framing):
                self.assertEqual({202, 503}, {*statuses})
                self.assertEqual(statuses.count(202), counts.waiting)
                if b"Length" in framing:  # of a chunked body, pieces may reach the limit
                    self.assertEqual(expected, counts.waiting)
                self.assertLessEqual(counts.waiting, expected)
            await self.writes.stop()
            self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))

    async def test_many_stalled_uploads_leave_the_memory(self) -> None:
        self.enterContext(mock.patch.object(server, "_SERVICE_MEMORY", 600_000))
        await self.begin(send=False)
        connections = []
        for _ in range(40):
            reader, writer = await asyncio.open_unix_connection(self.writes.intake_socket)
            connections.append((reader, writer))
            writer.write(HEAD + b"Content-Length: 60001\r\n\r\n" + b"x" * 60_000)
            await writer.drain()
        memory = self.writes._server._memory
        async with asyncio.timeout(20):
            while memory.used > 600_000 + 40 * 4096:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for _, writer in connections:
            writer.write(b"y")
        await reached(self.writes, "accepted", 40)
        self.assertEqual(0, memory.used)
        for _, writer in connections:
            writer.transport.abort()

    async def test_a_body_above_one_gibibyte_is_not_refused(self) -> None:
        await self.begin()
        for length, expected in ((1 << 30) + 1, 100), ((4 << 30) + 1, 413):
            reader, writer = await self.connect()
            writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
            self.assertEqual(expected, (await self.response(reader))[0])

    async def test_no_space_on_disk(self) -> None:
        await self.begin(min_free=1 << 62)
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x", content=b"1")
        self.assertEqual((503, "1"), (response.status_code, response.headers["retry-after"]))
        self.assertEqual([], self.guest.log)
