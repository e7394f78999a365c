"""One connection of the intake, byte by byte, with a fake server behind it."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Coroutine
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.intake.http import RequestHead, Response, problem_response
from nova_cachemig.agent.intake.protocol import IntakeProtocol
from nova_cachemig.model.write import Body

HEAD = b"POST /x HTTP/1.1\r\nHost: shop.example\r\n"


class MemoryUpload:
    """Keeps a body in memory."""

    def __init__(self) -> None:
        self.data = b""
        self.cancelled = False

    @property
    def length(self) -> int:
        return len(self.data)

    def add(self, data: bytes) -> bool:
        self.data += data
        return False

    async def seal(self) -> Body:
        return Body.of(self.data)

    async def cancel(self) -> None:
        self.cancelled = True


class Arrival:
    """Counts the bytes that its handler has room for."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.stalls = 0

    def receive(self, size: int) -> Response | None:
        self.handler.room -= size
        return None if self.handler.room >= 0 else problem_response(503, "full", close=True)

    def stall(self) -> None:
        self.stalls += 1

    def end(self) -> None:
        self.handler.arriving -= 1


class Handler:
    """Records requests, and responds with the body."""

    def __init__(self) -> None:
        self.requests: list[tuple[RequestHead, bytes]] = []
        self.refusal: Response | None = None
        self._response: Response | None = None
        self.arriving = 0
        self.arrivals: list[Arrival] = []
        self.room = 1000  # bytes
        self.admission = mock.Mock(max_body=50)
        self.admission.too_large.return_value = problem_response(413, "too large", close=True)

    def refuse(self, head: RequestHead) -> Response | None:
        return self.refusal

    def arrival(self, head: RequestHead) -> Any:
        self.arriving += 1
        self.arrivals.append(Arrival(self))
        return self.arrivals[-1]

    async def handle(self, head: RequestHead, body: Body, _arrival: object = None) -> Response:
        self.requests.append((head, body.data))
        response, self._response = self._response, None
        return response or Response(200, (), body)

    def respond_with(self, response: Response) -> None:
        """Give the next request this response."""
        self._response = response


class Tail:
    """A body in two parts. Its end comes when :attr:`ended` is set."""

    def __init__(self, length: int | None) -> None:
        self.length = length
        self.ended = asyncio.Event()
        self._parts = [b"ab", b"cd"]

    async def read(self) -> bytes:
        if self._parts:
            return self._parts.pop(0)
        await self.ended.wait()
        return b""

    def close(self) -> None:
        self.ended.set()


class Server:
    def __init__(self) -> None:
        self.handler: Any = Handler()
        self.connections: set[IntakeProtocol] = set()
        self.uploads: list[MemoryUpload] = []
        self.tasks: list[asyncio.Task[None]] = []

    def upload(self, service: str) -> Any:
        self.uploads.append(MemoryUpload())
        return self.uploads[-1]

    def read(self, body: Body) -> Any:
        raise AssertionError(f"no body is in a file: {body}")

    def release(self, chunks: Any) -> None:
        raise AssertionError("no file is open")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.changed = asyncio.Event()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.changed.set()

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Connection:
    def __init__(self) -> None:
        self.server, self.wire = Server(), Wire()
        self.protocol = IntakeProtocol(self.server)
        self.protocol.connection_made(self.wire)

    async def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.data_received(piece)
        while self.protocol.task is not None:
            await self.protocol.task
        for task in self.server.tasks:
            await task

    async def written(self, end: bytes) -> None:
        """Wait until what was written ends so."""
        while not self.wire.written.endswith(end):
            self.wire.changed.clear()
            await self.wire.changed.wait()


class IntakeProtocolTest(unittest.TestCase):
    def play(self, *pieces: bytes, refusal: Response | None = None) -> Connection:
        async def run() -> Connection:
            connection = Connection()
            connection.server.handler.refusal = refusal
            await connection.feed(*pieces)
            return connection

        return asyncio.run(run())

    @settings(deadline=None, max_examples=50)
    @given(st.binary(max_size=50), st.booleans(), st.lists(st.integers(0, 200), max_size=8))
    def test_however_the_bytes_arrive(self, body: bytes, chunked: bool, cuts: list[int]) -> None:
        if chunked:
            framing = b"Transfer-Encoding: chunked\r\n\r\n"
            coded = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data = HEAD + framing + coded + b"0\r\nX-Trailer: 1\r\n\r\n"
        else:
            data = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
        ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
        pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        connection = self.play(*[piece for piece in pieces if piece])
        ((head, found),) = connection.server.handler.requests
        self.assertEqual(("POST", "/x", body), (head.method, head.url, found))
        self.assertIsNone(head.get("x-trailer"))
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(connection.wire.written.endswith(b"\r\n\r\n" + body))
        self.assertFalse(connection.wire.closed)

    @settings(deadline=None, max_examples=50)
    @given(
        st.sampled_from(["BREW", "LABEL", "MKCALENDAR", "VERSION-CONTROL", "post", "P", "GETS"]),
        st.lists(st.integers(0, 60), max_size=6),
    )
    def test_methods_that_the_parser_does_not_know(self, method: str, cuts: list[int]) -> None:
        data = HEAD.replace(b"POST", method.encode()) + b"Content-Length: 2\r\n\r\nok"
        ends = [*sorted(cuts), len(data)]
        pieces = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        connection = self.play(*[piece for piece in pieces if piece])
        ((head, body),) = connection.server.handler.requests
        self.assertEqual((method, "/x", b"ok"), (head.method, head.url, body))

    def test_each_request_of_a_connection_has_its_method(self) -> None:
        async def run() -> list[str]:
            connection = Connection()
            for method in (b"BREW", b"PUT", b"LABEL", b"POST"):
                head = HEAD.replace(b"POST", method)
                await connection.feed(b"\r\n" + head + b"Content-Length: 1\r\n\r\n1")
            return [head.method for head, _ in connection.server.handler.requests]

        self.assertEqual(["BREW", "PUT", "LABEL", "POST"], asyncio.run(run()))

    def test_an_unknown_method_with_an_upgrade(self) -> None:
        head = HEAD.replace(b"POST", b"BREW") + b"Connection: upgrade\r\nUpgrade: h2c\r\n"
        connection = self.play(head + b"Content-Length: 2\r\n\r\nok")
        ((found, body),) = connection.server.handler.requests
        self.assertEqual(("BREW", b"ok"), (found.method, body))

    def test_what_is_no_method(self) -> None:
        for data in (b"BR\x01W / HTTP/1.1\r\n\r\n", b"M" * 65, b"BREW\r\n\r\n", b"B(W / HTTP/1.1"):
            connection = self.play(data)
            self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 400"), data)

    def test_a_refused_request_gets_its_response_before_the_body(self) -> None:
        refusal = problem_response(503, "no")
        connection = self.play(HEAD + b"Content-Length: 9\r\n\r\n", b"123", refusal=refusal)
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 503"))
        self.assertEqual([], connection.server.handler.requests)

    def test_a_body_over_the_limit_is_dropped(self) -> None:
        chunk = b"14\r\n" + b"x" * 20 + b"\r\n"
        connection = self.play(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 3)
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 413"))
        self.assertTrue(connection.server.uploads[0].cancelled)
        self.assertEqual([], connection.server.handler.requests)

    def test_a_body_for_which_no_room_is_left(self) -> None:
        async def run() -> Connection:
            connection = Connection()
            connection.server.handler.room = 25
            chunk = b"14\r\n" + b"x" * 20 + b"\r\n"
            await connection.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, chunk)
            return connection

        connection = asyncio.run(run())
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 503"))
        self.assertTrue(connection.server.uploads[0].cancelled)
        self.assertEqual(0, connection.server.handler.arriving)

    def test_a_head_over_the_limit(self) -> None:
        connection = self.play(HEAD, *[b"x-a: " + b"y" * 1000 + b"\r\n"] * 70)
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 431"))

    def test_expect_continue(self) -> None:
        connection = self.play(HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", b"1")
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP"))

    def test_not_http(self) -> None:
        connection = self.play(b"\x16\x03\x01 hello\r\n\r\n")
        self.assertTrue(connection.wire.written.startswith(b"HTTP/1.1 400"))

    def test_stalled(self) -> None:
        async def run() -> tuple[bool, bool, bool]:
            connection = Connection()
            now = asyncio.get_running_loop().time() + 1
            before = connection.protocol.stalled(now)
            connection.protocol.data_received(HEAD + b"Content-Length: 3\r\n\r\n1")
            half_way = connection.protocol.stalled(now)
            handler = connection.server.handler
            self.assertEqual(1, handler.arriving)
            connection.protocol.yield_room()
            self.assertEqual(1, handler.arrivals[0].stalls)
            await connection.feed(b"23")
            self.assertEqual(0, connection.server.handler.arriving)
            return before, half_way, connection.protocol.stalled(now)

        self.assertEqual((False, True, False), asyncio.run(run()))

    def test_the_next_request_may_follow_the_last_byte_of_a_tail(self) -> None:
        async def run() -> Connection:
            connection, tail = Connection(), Tail(4)
            connection.server.handler.respond_with(Response(200, tail=tail))
            connection.protocol.data_received(HEAD + b"Content-Length: 1\r\n\r\n1")
            async with asyncio.timeout(5):
                await connection.written(b"abcd")
                await connection.feed(HEAD + b"Content-Length: 1\r\n\r\n2")
            self.assertTrue(tail.ended.is_set())
            return connection

        connection = asyncio.run(run())
        self.assertEqual([b"1", b"2"], [body for _, body in connection.server.handler.requests])
        self.assertTrue(connection.wire.written.endswith(b"\r\n\r\n2"))
        self.assertFalse(connection.wire.closed)

    def test_a_request_during_a_tail_ends_the_connection(self) -> None:
        async def run() -> Connection:
            connection, tail = Connection(), Tail(None)
            connection.server.handler.respond_with(Response(200, tail=tail))
            connection.protocol.data_received(HEAD + b"Content-Length: 1\r\n\r\n1")
            async with asyncio.timeout(5):
                await connection.written(b"cd\r\n")
                connection.protocol.data_received(HEAD + b"Content-Length: 1\r\n\r\n2")
                tail.ended.set()
                await connection.feed()
            return connection

        connection = asyncio.run(run())
        self.assertTrue(connection.wire.written.endswith(b"0\r\n\r\n"))
        self.assertTrue(connection.wire.closed)

    def test_a_client_that_disconnects_half_way(self) -> None:
        async def run() -> Connection:
            connection = Connection()
            connection.protocol.data_received(HEAD + b"Content-Length: 3\r\n\r\n1")
            connection.protocol.connection_lost(None)
            await connection.feed()
            return connection

        connection = asyncio.run(run())
        self.assertTrue(connection.server.uploads[0].cancelled)
        self.assertEqual(set(), connection.server.connections)
