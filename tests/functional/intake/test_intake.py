"""The intake over its real socket, byte by byte: bodies, limits, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.intake import server
from nova_cachemig.agent.ports import alive_socket
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target, WriteMode
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, reached, service

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


class IntakeTest(IntakeCase):
    def mode(self, path: str) -> int:
        return stat.S_IMODE(Path(path).stat().st_mode)

    async def test_only_the_agents_user_can_connect(self) -> None:
        await self.begin()
        mode = self.mode(self.writes.intake_socket)
        self.assertEqual(0o600, mode)

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

    async def test_requests_whose_edge_has_left_while_the_agent_hung_are_dropped(self) -> None:
        await self.begin()
        reader, idle = await self.connect()
        idle.write(HEAD + b"Content-Length: 2\r\n\r\nok")
        self.assertEqual(200, (await self.response(reader))[0])
        # No await from here on: the loop finds requests and the ends of connections together.
        for length in (2, 2, 200_000):
            with socket.socket(socket.AF_UNIX) as edge:
                edge.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
                edge.connect(self.writes.intake_socket)
                edge.send(HEAD + f"Content-Length: {length}\r\n\r\n".encode() + b"x" * length)
        known = idle.get_extra_info("socket").dup()
        known.send(HEAD + b"Content-Length: 2\r\n\r\nno")
        known.shutdown(socket.SHUT_RDWR)
        known.close()
        reader, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 4\r\n\r\nlast")
        self.assertEqual(200, (await self.response(reader))[0])
        await asyncio.sleep(0.2)
        self.assertEqual([b"ok", b"last"], [one.body for one in self.guest.log])
        self.assertEqual([], self.spooled())

    async def test_the_check_of_the_edge(self) -> None:
        await self.begin()
        for _ in range(3):
            reader, writer = await self.connect()
            writer.write(b"GET /alive HTTP/1.1\r\nHost: agent\r\n\r\n")
            self.assertRegex(await reader.read(), b"^HTTP/1.1 204 ")
        self.assertEqual(0, self.writes._handler.refused)

    async def test_the_check_does_not_wait_behind_writes(self) -> None:
        """The edge connects for thousands of writes before the agent accepts one."""
        await self.begin()
        writes, length = [], b"Content-Length: 1\r\n\r\nx"
        for _ in range(WRITES_AT_ONCE):
            edge = socket.socket(socket.AF_UNIX)
            self.addCleanup(edge.close)
            edge.connect(self.writes.intake_socket)
            edge.send(HEAD + length)
            writes.append(edge)
        reader, writer = await asyncio.open_unix_connection(alive_socket(self.writes.intake_socket))
        self.addCleanup(writer.close)
        writer.write(b"GET /alive HTTP/1.1\r\nHost: agent\r\n\r\n")
        self.assertRegex(await reader.read(), b"^HTTP/1.1 204 ")
        accepted = (await self.writes.counts("shop")).accepted
        self.assertLess(accepted, WRITES_AT_ONCE / 2)
        async with asyncio.timeout(60):
            while (await self.writes.counts("shop")).responded < len(writes):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

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

    async def test_unknown_service(self) -> None:
        await self.begin()
        async with client(self.writes.intake_socket, "another") as http:
            self.assertEqual(503, (await http.post("/x")).status_code)

    async def test_write_after_close_is_not_lost(self) -> None:
        await self.begin()
        await self.writes.close("shop")
        async with client(self.writes.intake_socket) as http:
            self.assertEqual(200, (await http.post("/x", content=b"late")).status_code)
        self.assertEqual([b"late"], self.guest.bodies())


class ResponsesTest(IntakeCase):
    async def test_prefer_respond_async(self) -> None:
        await self.begin(send=False)
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x", headers={"Prefer": "respond-async, wait=10"})
            self.assertEqual(202, response.status_code)
            self.assertEqual("respond-async", response.headers["preference-applied"])
            await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            await self.writes.drained("shop")
            stored = await http.get(response.headers["location"])
            self.assertEqual((200, "applied 1\n"), (stored.status_code, stored.text))
            self.assertEqual("respond-async, wait=10", self.guest.log[0].headers["prefer"])

    async def test_a_job_of_the_guest(self) -> None:
        """Its URL reaches the client: directly, or from the status URL."""
        await self.begin()
        self.guest.status, self.guest.extra = 202, "location: /jobs/1\r\n"
        prefer = {"Prefer": "respond-async"}
        async with client(self.writes.intake_socket) as http:
            direct = await http.post("/x", headers=prefer)
            self.assertEqual((202, "/jobs/1"), (direct.status_code, direct.headers["location"]))
            await self.writes.hold("shop")
            accepted = await http.post("/x", headers=prefer)
            await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            await self.writes.drained("shop")
            later = await http.get(accepted.headers["location"])
            self.assertEqual((202, "/jobs/1"), (later.status_code, later.headers["location"]))

    async def test_the_status_is_there_also_if_the_service_is_in_no_handover(self) -> None:
        await self.begin(send=False)
        async with client(self.writes.intake_socket) as http:
            location = (await http.post("/x", headers={"Prefer": "respond-async"})).headers[
                "location"
            ]
        await self.writes.stop()
        again = Writes(conf_for(self.directory))
        await again.start()
        self.addAsyncCleanup(again.stop)
        async with client(again.intake_socket) as http:
            found = await http.get(location)
            self.assertEqual((202, "accepted"), (found.status_code, found.json()["state"]))
            self.assertEqual(404, (await http.get(location[:-4] + "AAAA")).status_code)
            self.assertEqual(405, (await http.post(location)).status_code)
        async with client(again.intake_socket, "unknown") as http:
            self.assertEqual(404, (await http.get(location)).status_code)

    async def test_status_is_scoped_to_the_service(self) -> None:
        await self.begin(send=False)
        await self.writes.open(service("other"))
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x", headers={"Prefer": "respond-async"})
        async with client(self.writes.intake_socket, "other") as http:
            await http.post("/x", headers={"Prefer": "respond-async"})
            self.assertEqual(404, (await http.get(response.headers["location"])).status_code)

    async def test_accept_service(self) -> None:
        await self.begin(send=False)
        await self.writes.open(service(writes=WriteMode.ACCEPT))
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x")
            self.assertEqual(202, response.status_code)
            self.assertNotIn("preference-applied", response.headers)

    async def test_same_key_same_request_same_response(self) -> None:
        await self.begin()
        async with client(self.writes.intake_socket) as http:
            key = {"Idempotency-Key": '"k1"'}
            first = await http.post("/x", content=b"1", headers=key)
            again = await http.post("/x", content=b"1", headers=key)
            other = await http.post("/x", content=b"2", headers=key)
            stranger = await http.post("/x", content=b"1", headers=key | {"Authorization": "B x"})
        self.assertEqual(("applied 1\n", "applied 1\n"), (first.text, again.text))
        self.assertEqual(422, other.status_code)
        self.assertEqual("applied 2\n", stranger.text)
        self.assertEqual('"k1"', self.guest.log[0].headers["idempotency-key"])

    async def test_equal_keys_of_different_clients(self) -> None:
        """No client gets another one's response or cookie, and every POST reaches the guest."""
        await self.begin()
        self.guest.extra = "set-cookie: session=new\r\n"
        for name, values in (
            ("Cookie", ("session=alice", "session=bob")),
            ("Cookie", ("theme=x; sid=alice", "theme=x; sid=bob")),
            ("X-Api-Key", ("alice", "bob")),
            ("X-Auth-Token", ("alice", "bob")),
            ("Authorization", ("Bearer alice", "Bearer bob")),
        ):
            texts = []
            for value in (*values, values[0]):
                fields = {"Idempotency-Key": f'"{values}"', name: value}
                async with client(self.writes.intake_socket) as http:
                    texts.append((await http.post("/x", content=b"1", headers=fields)).text)
            with self.subTest(name):
                self.assertNotEqual(texts[0], texts[1])
                self.assertEqual(texts[0], texts[2])
        self.assertEqual(10, len(self.guest.log))

    async def test_equal_keys_of_what_may_be_one_client(self) -> None:
        """Neither applied again, nor answered, nor dropped silently."""
        await self.begin()
        key = {"Idempotency-Key": '"k1"'}
        before, after = ({"Cookie": f"sessionid=a; csrftoken={number}"} for number in (1, 2))
        async with client(self.writes.intake_socket) as http:
            await http.post("/x", content=b"1", headers=key | before)
            again = await http.post("/x", content=b"1", headers=key | after)
            self.assertEqual(422, again.status_code)
            self.assertEqual(200, (await http.post("/y", headers=key)).status_code)
        async with client(self.writes.intake_socket, who="10.0.0.2") as http:
            elsewhere = await http.post("/x", content=b"1", headers=key | before)
            self.assertEqual("applied 1\n", elsewhere.text)
            self.assertEqual(422, (await http.post("/y", headers=key)).status_code)
        self.assertEqual(2, len(self.guest.log))

    async def test_a_form_that_is_repeated_with_another_boundary(self) -> None:
        await self.begin()
        for number, size in enumerate((10, 300_000)):
            texts = []
            for content in (b"a", b"a", b"b"):
                async with client(self.writes.intake_socket) as http:
                    key = {"Idempotency-Key": f'"form {number}"'}
                    form = {"file": ("a.bin", content * size)}
                    texts.append((await http.post("/x", files=form, headers=key)).text)
            self.assertEqual(f"applied {number + 1}\n", texts[0])
            self.assertEqual(texts[0], texts[1])
            self.assertIn("another request", texts[2])
        kinds = {taken.headers["content-type"] for taken in self.guest.log}
        self.assertEqual(2, len(kinds))  # each with its own boundary
        self.assertEqual([], self.spooled())

    async def test_a_client_repeats_with_the_cookies_of_the_first_response(self) -> None:
        await self.begin()
        for number, (before, new, after) in enumerate((
            ({}, "session=new; Path=/; HttpOnly", {"Cookie": "session=new"}),
            ({"Cookie": "session=old"}, "session=new", {"Cookie": "session=new"}),
            ({"Cookie": "sid=old; csrf=1"}, "csrf=2", {"Cookie": "sid=old; csrf=2"}),
            ({"Cookie": "sid=old"}, "sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {}),
        )):  # fmt: skip
            self.guest.extra = f"set-cookie: {new}\r\n"
            key = {"Idempotency-Key": f'"{number}"'}
            texts = []
            for cookie in (before, after, before, {"Cookie": "sid=other"}):
                async with client(self.writes.intake_socket) as http:
                    texts.append((await http.post("/x", headers=key | cookie)).text)
            with self.subTest(before=before, new=new):
                self.assertEqual([texts[0]] * 3, texts[:3])
                self.assertNotEqual(texts[0], texts[3])
        self.assertEqual(8, len(self.guest.log))

    async def test_a_login_that_another_response_has_renewed(self) -> None:
        """The repetition is neither applied, nor does the new login get the first response."""
        await self.begin()
        key = {"Idempotency-Key": '"k1"'}
        async with client(self.writes.intake_socket) as http:
            await http.post("/x", content=b"1", headers=key | {"Cookie": "session=a; theme=dark"})
            for number, old, new in ((1, "a", "b"), (2, "b", "c")):
                self.guest.extra = f"set-cookie: session={new}; HttpOnly\r\n"
                await http.post(f"/other/{number}", headers={"Cookie": f"session={old}"})
        self.guest.extra = ""
        for session, content, status, words in (
            ("b", b"1", 409, "before the login was renewed"),
            ("c", b"1", 409, "before the login was renewed"),
            ("c", b"2", 422, "with another request"),
            ("a", b"1", 200, "applied 1"),
            ("x", b"1", 200, "applied 4"),
        ):
            cookie = {"Cookie": f"session={session}; theme=dark"}
            async with client(self.writes.intake_socket) as http:
                again = await http.post("/x", content=content, headers=key | cookie)
            with self.subTest(session=session, content=content):
                self.assertEqual(status, again.status_code)
                self.assertIn(words, again.text)
        self.assertEqual(4, len(self.guest.log))

    async def test_same_key_while_in_flight_and_after_a_restart(self) -> None:
        await self.begin(send=False)
        key = {"Idempotency-Key": '"k1"'}
        async with client(self.writes.intake_socket) as http:
            first = asyncio.create_task(http.post("/x", content=b"1", headers=key))
            await reached(self.writes, "accepted", 1)
            self.assertEqual(409, (await http.post("/x", content=b"1", headers=key)).status_code)
            self.assertEqual(422, (await http.post("/x", content=b"2", headers=key)).status_code)
            await self.writes.stop()
            self.assertEqual(202, (await first).status_code)
        await self.begin()
        await self.writes.drained("shop")
        async with client(self.writes.intake_socket) as http:
            again = await http.post("/x", content=b"1", headers=key)
        self.assertEqual("applied 1\n", again.text)
        self.assertEqual(1, len(self.guest.log))
