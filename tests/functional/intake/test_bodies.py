"""Bodies on the intake's real socket, byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import os

from nova_cachemig.agent.writes import Writes
from tests.functional.intake.case import HEAD, IntakeCase
from tests.functional.replay.path import client, conf_for


class BodiesTest(IntakeCase):
    async def test_a_chunked_body_and_trailers_that_do_not_become_headers(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        writer.write(
            HEAD + b"Transfer-Encoding: chunked\r\nTrailer: X-Cachemig-Client\r\n\r\n"
            b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Cachemig-Client: evil\r\nX-T: 1\r\n\r\n"
        )
        self.assertEqual(200, (await self.response(reader))[0])
        (taken,) = self.guest.log
        self.assertEqual((b"abcde", "5"), (taken.body, taken.headers["content-length"]))
        self.assertNotIn("x-t", taken.headers)
        self.assertNotIn("trailer", taken.headers)

    async def test_expect_continue(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        writer.write(HEAD + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        self.assertEqual(100, (await self.response(reader))[0])
        writer.write(b"body")
        self.assertEqual(200, (await self.response(reader))[0])
        self.assertNotIn("expect", self.guest.log[0].headers)

    async def test_slow_upload_in_a_spool_file(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        body = os.urandom(500_000)
        writer.write(HEAD + b"Content-Length: 500000\r\n\r\n")
        for at in range(0, len(body), 50_000):
            writer.write(body[at : at + 50_000])
            await writer.drain()
        self.assertEqual(200, (await self.response(reader))[0])
        self.assertEqual(
            hashlib.sha256(body).digest(), hashlib.sha256(self.guest.log[0].body).digest()
        )

    async def test_the_spool_file_is_deleted_after_the_response(self) -> None:
        await self.begin()
        async with client(self.writes.intake_socket) as http:
            await http.post("/x", content=b"y" * 200_000)
        await self.writes.drained("shop")
        async with asyncio.timeout(10):
            while self.spooled():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        self.assertEqual([b"y" * 200_000], self.guest.bodies())

    async def test_spool_file_stays_when_its_connection_closes(self) -> None:
        await self.begin(send=False)
        async with client(self.writes.intake_socket) as http:
            later = {"Prefer": "respond-async"}
            response = await http.post("/x", content=b"y" * 200_000, headers=later)
        self.assertEqual(202, response.status_code)
        await self.writes.stop()
        await self.begin()
        await self.writes.drained("shop")
        self.assertEqual([b"y" * 200_000], self.guest.bodies())

    async def test_client_that_disconnects_half_way(self) -> None:
        await self.begin()
        _, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 400000\r\n\r\n" + b"x" * 300_000)
        await writer.drain()
        async with asyncio.timeout(10):
            while not self.spooled():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        writer.transport.abort()
        await self.writes.stop()
        self.assertEqual([], self.spooled())
        self.assertEqual([], self.guest.log)
        again = Writes(conf_for(self.directory))
        await again.start()
        self.addAsyncCleanup(again.stop)
        self.assertEqual({}, await again.unfinished())

    async def test_agent_that_stops_half_way_leaves_no_file(self) -> None:
        await self.begin()
        _, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 400000\r\n\r\n" + b"x" * 300_000)
        await writer.drain()
        async with asyncio.timeout(10):
            while not self.spooled():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await self.writes.stop()  # the client is still there
        self.assertEqual([], self.spooled())

    async def test_client_that_stops_half_way(self) -> None:
        await self.begin(body_timeout=0.2)
        reader, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 10\r\n\r\nhalf")
        async with asyncio.timeout(10):
            self.assertEqual(b"", await reader.read())
        self.assertEqual(0, (await self.writes.counts("shop")).accepted)

    async def test_multipart_upload_arrives_as_it_was(self) -> None:
        await self.begin()
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x", files={"file": ("a.bin", b"\0\1" * 50_000)})
        self.assertEqual(200, response.status_code)
        taken = self.guest.log[0]
        self.assertTrue(taken.headers["content-type"].startswith("multipart/form-data; boundary="))
        self.assertIn(b"\0\1" * 50_000, taken.body)

    async def test_trailing_data_after_the_body(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 3\r\n\r\nabcGARBAGE\r\n\r\n")
        self.assertEqual(200, (await self.response(reader))[0])
        self.assertEqual(b"", await reader.read())
        self.assertEqual([b"abc"], self.guest.bodies())

    async def test_a_second_request_that_does_not_wait_is_not_mixed_up(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 1\r\n\r\na" + HEAD + b"Content-Length: 1\r\n\r\nb")
        self.assertEqual((200, b"applied 1\n"), await self.response(reader))
        self.assertEqual(b"", await reader.read())
        self.assertEqual([b"a"], self.guest.bodies())

    async def test_upgrade_is_declined_and_the_body_kept(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        writer.write(
            HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 4\r\n\r\nbody"
        )
        self.assertEqual(200, (await self.response(reader))[0])
        self.assertEqual([b"body"], self.guest.bodies())
        self.assertNotIn("upgrade", self.guest.log[0].headers)

    async def test_methods_that_the_parser_does_not_know(self) -> None:
        await self.begin()
        methods = ["BREW", "LABEL", "MKCALENDAR", "VERSION-CONTROL", "PROPPATCH", "MOVE"]
        async with client(self.writes.intake_socket) as http:
            for method in methods:
                response = await http.request(method, "/x", content=b"1")
                self.assertEqual(200, response.status_code, method)
        self.assertEqual(methods, [taken.method for taken in self.guest.log])

    async def test_conflicting_framing_is_refused(self) -> None:
        await self.begin()
        for lines in (
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            b"Content-Length: -1\r\n\r\n",
            b"Transfer-Encoding: gzip\r\n\r\nabc",
        ):
            with self.subTest(lines):
                reader, writer = await self.connect()
                writer.write(HEAD + lines)
                self.assertEqual(400, (await self.response(reader))[0])
        self.assertEqual([], self.guest.log)

    async def test_one_connection_many_writes(self) -> None:
        await self.begin()
        reader, writer = await self.connect()
        for number in range(20):
            writer.write(HEAD + b"Content-Length: 2\r\n\r\n%02d" % number)
            self.assertEqual(200, (await self.response(reader))[0])
        self.assertEqual([b"%02d" % number for number in range(20)], self.guest.bodies())
