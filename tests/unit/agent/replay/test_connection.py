"""One connection to the guest: responses in order, and how each request ends."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.replay import connection
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import GuestResponse

HERE = Target("192.0.2.1", 80)
LIMIT = 50


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self.closed = False
        self.buffered = 0
        self.reading = True
        self.socket = mock.Mock()

    def write(self, data: Any) -> None:
        self.packets.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.socket


def response(body: bytes, *lines: bytes) -> bytes:
    head = [b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class GuestConnectionTest(unittest.IsolatedAsyncioTestCase):
    def make(self, sock: Any = None) -> GuestConnection:
        self.wire = Wire()
        made = GuestConnection(HERE, LIMIT, sock)
        made.connection_made(self.wire)
        self.outcomes: list[tuple[int, GuestResponse]] = []
        self.ends: list[End] = []
        self.parts = 0
        made.watch(self.on_part, self.ends.append)
        return made

    def on_part(self) -> None:
        self.parts += 1

    def send(self, made: GuestConnection, *numbers: int) -> None:
        for number in numbers:
            request = b"request %d\n" % number
            made.send(request, lambda outcome, n=number: self.outcomes.append((n, outcome)))

    def bodies(self) -> list[tuple[int, bytes]]:
        return [(n, r.body.data) for n, r in self.outcomes]

    async def turn(self) -> None:
        """Let the callbacks of this turn of the loop run."""
        await asyncio.sleep(0)

    async def test_requests_of_one_turn_share_a_packet(self) -> None:
        made = self.make()
        self.send(made, 1, 2)
        self.assertEqual([], self.wire.packets)
        await self.turn()
        self.assertEqual([b"request 1\nrequest 2\n"], self.wire.packets)
        made.send(b"request 3\n", lambda _outcome: None, flush=True)
        self.assertEqual(b"request 3\n", self.wire.packets[-1])

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=LIMIT), min_size=1, max_size=5),
           st.lists(st.integers(0, 400), max_size=8))  # fmt: skip
    def test_responses_belong_to_requests_in_order(
        self, bodies: list[bytes], cuts: list[int]
    ) -> None:
        """However the guest's bytes arrive."""

        async def play() -> None:
            made = self.make()
            self.send(made, *range(len(bodies)))
            made.flush()
            data = b"".join(map(response, bodies))
            ends = [*sorted(min(cut, len(data)) for cut in cuts), len(data)]
            for start, end in zip([0, *ends], ends, strict=False):
                if start < end:
                    made.data_received(data[start:end])
            self.assertEqual(list(enumerate(bodies)), self.bodies())
            self.assertTrue(made.open)

        asyncio.run(play())

    async def test_interim_responses_are_skipped(self) -> None:
        made = self.make()
        self.send(made, 1)
        made.data_received(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + response(b"ok"))
        self.assertEqual([(1, b"ok")], self.bodies())
        self.assertIsNone(self.outcomes[0][1].header("link"))

    async def test_a_body_over_the_limit_is_for_the_client_only(self) -> None:
        made = self.make()
        self.send(made, 1)
        await self.turn()
        data = response(b"x" * LIMIT + b"yz")
        made.data_received(data[:-1])
        found = self.outcomes[0][1]
        self.assertEqual((200, 0, True), (found.status, found.body.length, found.body_is_lost))
        made.close()
        self.assertEqual((True, False), (made.streaming, self.wire.closed))
        made.data_received(data[-1:])
        self.assertEqual((False, True), (made.streaming, self.wire.closed))
        assert found.tail is not None
        got = [await found.tail.read() for _ in range(3)]
        self.assertEqual((LIMIT + 2, b"x" * LIMIT + b"yz"), (found.tail.length, b"".join(got)))
        self.assertEqual(b"", await found.tail.read())

    async def test_a_body_over_the_limit_is_lost_if_requests_follow(self) -> None:
        """Else the guest could process them at any later time."""
        made = self.make()
        self.send(made, 1, 2)
        await self.turn()
        made.data_received(response(b"x" * (LIMIT + 1)))
        await self.turn()
        ((number, found),) = self.outcomes
        self.assertEqual((1, True, None), (number, found.body_is_lost, found.tail))
        self.assertEqual((True, 1), (self.wire.closed, self.ends[0].unanswered))

    async def test_a_body_that_breaks_off(self) -> None:
        made = self.make()
        self.send(made, 1, 2)
        await self.turn()
        made.data_received(response(b"all")[:-1])
        made.connection_lost(None)
        await self.turn()
        ((number, found),) = self.outcomes
        self.assertEqual((1, 200, True), (number, found.status, found.body_is_lost))
        self.assertEqual((1, False), (self.ends[0].unanswered, self.ends[0].blame))
        assert found.tail is not None
        self.assertEqual(b"al", await found.tail.read())
        with self.assertRaises(EOFError):
            await found.tail.read()

    async def test_a_body_that_is_not_http(self) -> None:
        """The status is known before. Its client gets the part that has arrived."""
        made = self.make()
        self.send(made, 1, 2)
        await self.turn()
        with self.assertLogs(connection.LOG):
            made.data_received(b"HTTP/1.1 201 Made\r\ntransfer-encoding: chunked\r\n\r\n")
            made.data_received(b"2\r\nal\r\nnone\r\n")
        await self.turn()
        ((number, found),) = self.outcomes
        self.assertEqual((1, 201, True), (number, found.status, found.body_is_lost))
        self.assertEqual((1, False), (self.ends[0].unanswered, self.ends[0].blame))
        self.assertTrue(self.wire.closed)
        assert found.tail is not None
        self.assertEqual(b"al", await found.tail.read())
        with self.assertRaises(EOFError):
            await found.tail.read()

    async def test_an_interim_response_that_breaks_off(self) -> None:
        made = self.make()
        self.send(made, 1)
        await self.turn()
        made.data_received(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n")
        made.connection_lost(None)
        await self.turn()
        self.assertEqual(([], 1), (self.outcomes, self.ends[0].unanswered))

    async def test_a_response_that_ends_with_the_connection(self) -> None:
        made = self.make()
        self.send(made, 1)
        made.data_received(b"HTTP/1.1 200 OK\r\n\r\nall ")
        made.data_received(b"of it")
        self.assertEqual([], self.outcomes)
        made.eof_received()
        self.assertEqual([(1, b"all of it")], self.bodies())
        self.assertFalse(made.open)

    async def test_a_lost_connection(self) -> None:
        """A request that left the agent may be applied; one that did not is not."""
        made = self.make()
        self.send(made, 1)
        await self.turn()
        self.send(made, 2)  # waits for the end of this turn
        made.connection_lost(None)
        await self.turn()
        self.send(made, 3)  # it is too late for this one
        await self.turn()
        self.assertEqual([End("connection lost: closed by the guest", 1)], self.ends)
        self.assertEqual(([], [b"request 1\n"]), (self.outcomes, self.wire.packets))

    async def test_close_in_a_response_means_that_later_requests_are_not_processed(self) -> None:
        made = self.make()
        self.send(made, 1, 2)
        await self.turn()
        made.data_received(response(b"ok", b"connection: close"))
        await self.turn()
        self.assertEqual([(1, b"ok")], self.bodies())
        (end,) = self.ends
        self.assertFalse(end.processed)
        self.assertTrue(self.wire.closed)

    async def test_a_response_that_is_not_http(self) -> None:
        """The oldest request has it. Those behind are not to blame for the connection."""
        made = self.make()
        self.send(made, 1, 2)
        await self.turn()
        with self.assertLogs(connection.LOG):
            made.data_received(b"nonsense\r\n\r\n")
        await self.turn()
        self.assertEqual([(1, 502)], [(n, r.status) for n, r in self.outcomes])
        self.assertEqual([End("the guest's response was cut", 1, blame=False)], self.ends)
        self.assertTrue(self.wire.closed)

    async def test_bytes_behind_a_response_are_not_the_next_one(self) -> None:
        """Some guests state a length that is too small."""
        made = self.make()
        self.send(made, 1, 2, 3)
        await self.turn()
        with self.assertLogs(connection.LOG):
            made.data_received(response(b"caf") + b"\xc3\xa9")
        await self.turn()
        self.assertEqual([(1, b"caf")], self.bodies())
        self.assertEqual([(2, False)], [(end.unanswered, end.blame) for end in self.ends])
        self.assertTrue(self.wire.closed)

    async def test_an_unsolicited_response_closes_the_connection_for_requests(self) -> None:
        made = self.make()
        made.data_received(response(b"surprise"))
        self.assertFalse(made.open)
        await self.turn()
        self.assertEqual(1, len(self.ends))

    async def test_a_part_of_a_response_is_reported(self) -> None:
        made = self.make()
        self.send(made, 1)
        data = response(b"ok", b"keep-alive: timeout=6, max=9")
        made.data_received(data[:10])
        self.assertEqual((1, True), (self.parts, made.in_response))
        made.data_received(data[10:])
        self.assertEqual((1, False, 6.0), (self.parts, made.in_response, made.idle_timeout))

    async def test_the_end_is_reported_behind_the_responses(self) -> None:
        made = self.make()
        self.send(made, 1, 2)
        await self.turn()
        order: list[str] = []
        made.watch(lambda: None, lambda _end: order.append("end"))
        made.data_received(response(b"ok", b"connection: close"))
        order += ["response"] * len(self.outcomes)
        await self.turn()
        self.assertEqual(["response", "end"], order)

    async def test_close_resets(self) -> None:
        """Otherwise the kernel would go on retransmitting."""
        made = self.make()
        self.send(made, 1)
        await self.turn()
        made.close("why not")
        await self.turn()
        self.assertEqual([End("why not", 1)], self.ends)
        (call,) = self.wire.socket.setsockopt.call_args_list
        self.assertEqual(b"\1\0\0\0\0\0\0\0", call.args[2])  # SO_LINGER on, 0 s

    async def test_an_upload_stops_at_an_early_response(self) -> None:
        made = self.make()

        async def chunks() -> Any:
            yield b"1"
            made.data_received(response(b"enough"))
            yield b"2"
            raise AssertionError("asked for more")

        await made.upload(b"head ", chunks(), lambda found: self.outcomes.append((1, found)))
        self.assertEqual([(1, b"enough")], self.bodies())
        self.assertEqual([b"head ", b"1"], self.wire.packets)
        self.assertFalse(made.open)  # half a request was sent
