"""The search for writes that HAProxy sent into the guest's silence.

``tests/functional/engine/test_blackout.py`` loses real ones.
"""

from __future__ import annotations

import asyncio
import os
import socket
import unittest
from collections.abc import Callable, Sequence
from typing import cast
from unittest import mock

from nova_cachemig.agent import retransmit
from nova_cachemig.agent.engine import lost, sockdiag
from nova_cachemig.agent.engine.descriptors import Descriptors
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

TARGET = Target("192.0.2.9", 80)
LIMIT = 5.0


def connection(
    cookie: int, unacknowledged: int = 9, retransmissions: int = 1
) -> sockdiag.Connection:
    identity = bytes(40) + cookie.to_bytes(8, "little")
    return sockdiag.Connection(
        2, identity, 4000 + cookie, 80, TARGET.address, retransmissions, unacknowledged
    )


class Request:
    """Counts the messages instead of sending them."""

    def __init__(self, error: OSError | None = None) -> None:
        self.sent: list[int] = []
        self.error = error

    def send(self, doublings: int) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(doublings)


OURS = Descriptors(77, {}, {}, {4001: [21], 4002: [22]}, {}, {4001: 1, 4002: 1})


class FakeEdge:
    """Also its ``guests``."""

    error: ComponentError | None = None

    def __init__(self, connections: Callable[[], list[sockdiag.Connection]]) -> None:
        self.guests = self
        self._connections = connections

    async def descriptors(self) -> Descriptors:
        if self.error is not None:
            raise self.error
        return OURS

    async def to(self, _target: Target) -> list[sockdiag.Connection]:
        return self._connections()


class LostWritesTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.edge = FakeEdge(self.connections)
        self.writes = lost.LostWrites(cast(Edge, self.edge))
        self.addAsyncCleanup(self.writes.stop)
        self.looks: list[list[sockdiag.Connection]] = []
        self.asked: list[list[int]] = []
        self.requests = {1: Request(), 2: Request()}
        for name, value in (
            ("LOOKS", (0, 0)),
            ("ROUNDS", (0, 0)),
            ("_requests", self.find),
        ):
            patch = mock.patch.object(lost, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        lost._warn_once.cache_clear()
        self.addCleanup(lost._warn_once.cache_clear)

    def connections(self) -> list[sockdiag.Connection]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def find(self, ours: Descriptors, found: Sequence[sockdiag.Connection]) -> dict[int, Request]:
        self.assertIs(OURS, ours)
        self.asked.append([one.cookie for one in found])
        return {one.cookie: self.requests[one.cookie] for one in found}

    async def ended(self) -> None:
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*self.writes._tasks.values())

    async def silence(self) -> None:
        self.writes.watch("shop", TARGET)
        await self.ended()

    async def test_what_stays_unacknowledged_is_resent_at_the_return(self) -> None:
        self.looks = [[connection(1), connection(2)], [connection(1), connection(2, 0)]]
        await self.silence()
        self.assertEqual([[1]], self.asked)
        self.looks = [[connection(1, retransmissions=4)], [connection(1, 0)]]
        self.writes.resend("shop", TARGET)
        await self.ended()
        self.assertEqual(([4], []), (self.requests[1].sent, self.requests[2].sent))

    async def test_nothing_lost_sends_nothing(self) -> None:
        self.looks = [[connection(1, 0)]]
        await self.silence()
        self.writes.resend("shop", TARGET)
        await self.ended()
        self.assertEqual(([], []), (self.asked, self.requests[1].sent))

    async def test_a_second_silence_is_watched_too(self) -> None:
        self.looks = [[connection(1)]]
        await self.silence()
        self.writes.watch("shop", TARGET)  # still the same silence
        await self.ended()
        self.assertEqual([[1]], self.asked)
        self.writes.resend("shop", TARGET)
        await self.silence()
        self.assertEqual([[1], [1]], self.asked)

    async def test_a_silence_that_ends_early_is_not_watched_further(self) -> None:
        self.looks = [[connection(1)]]
        self.writes.watch("shop", TARGET)
        self.writes.end("shop")
        await asyncio.sleep(0)
        self.assertEqual(([], {}), (self.asked, self.writes._tasks))

    async def test_nothing_of_a_service_without_a_handover_is_kept(self) -> None:
        self.looks = [[connection(1)]]
        await self.silence()
        self.writes.end("shop")
        self.writes.forget("shop")
        kept = (self.writes._silent, self.writes._requests, self.writes._tasks)
        self.assertEqual((set(), {}, {}), kept)

    async def test_missing_rights_are_logged_once(self) -> None:
        self.looks = [[connection(1)]]
        self.requests[1].error = PermissionError("no raw socket")
        with self.assertLogs(lost.__name__, "WARNING") as logs:
            for _ in range(2):
                await self.silence()
                self.writes.resend("shop", TARGET)
                await self.ended()
        self.assertEqual(1, len(logs.output))
        self.assertIn("no raw socket", logs.output[0])

    async def test_a_haproxy_that_does_not_respond_harms_nothing(self) -> None:
        self.looks = [[connection(1)]]
        self.edge.error = ComponentError("HAProxy does not respond")
        with self.assertLogs(lost.__name__, "WARNING"):
            await self.silence()
        self.writes.resend("shop", TARGET)
        await self.ended()
        self.assertEqual([], self.requests[1].sent)


class DuplicateTest(unittest.TestCase):
    """This process takes the part of HAProxy's worker."""

    def setUp(self) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        self.address, self.port = server.getsockname()
        self.ours, self.other = (self.connected(server) for _ in range(2))
        source = self.ours.getsockname()[1]
        found = sockdiag.connections(self.address, self.port)
        self.connection = next(one for one in found if one.source_port == source)

    def connected(self, server: socket.socket) -> socket.socket:
        sock = socket.create_connection(server.getsockname())
        self.addCleanup(sock.close)
        accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        return sock

    def requests(self, *fds: int) -> dict[int, retransmit.Request]:
        port = self.connection.source_port
        ours = Descriptors(os.getpid(), {}, {}, {port: fds} if fds else {}, {}, {})
        with mock.patch.object(retransmit, "request_for", return_value=mock.sentinel.request):
            return lost._requests(ours, [self.connection])

    def test_the_socket_of_the_connection(self) -> None:
        expected = {self.connection.cookie: mock.sentinel.request}
        self.assertEqual(expected, self.requests(self.ours.fileno()))
        self.assertEqual(expected, self.requests(self.other.fileno(), self.ours.fileno()))

    def test_a_number_that_is_used_for_something_else(self) -> None:
        self.assertEqual({}, self.requests(self.other.fileno()))

    def test_a_connection_that_is_not_haproxys(self) -> None:
        self.assertEqual({}, self.requests())
