"""The socket of a connection to the guest."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import unittest

from nova_cachemig.agent.replay import sockets
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.model.service import Target

_TOO_LARGE = 1 << 20  # bytes, more than fit into the buffers of the sockets


class ConnectTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.peers: list[tuple[str, int]] = []

        def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.peers.append(writer.get_extra_info("peername"))
            self.addCleanup(writer.close)
            self.arrived.set()

        self.arrived = asyncio.Event()
        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.addCleanup(server.close)
        self.port = server.sockets[0].getsockname()[1]

    async def test_options_and_source(self) -> None:
        made = await sockets.connect(
            Target("127.0.0.1", self.port), source="127.0.0.9", max_response=9
        )
        self.addCleanup(made.close)
        await self.arrived.wait()
        self.assertEqual("127.0.0.9", self.peers[0][0])
        assert made._wire._transport is not None
        sock = made._wire._transport.get_extra_info("socket")
        tcp = socket.IPPROTO_TCP
        self.assertEqual(
            (1, 1, 2**31 - 1),
            (
                sock.getsockopt(tcp, socket.TCP_NODELAY),
                sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                sock.getsockopt(tcp, socket.TCP_USER_TIMEOUT),
            ),
        )

    async def test_a_refused_connection_leaves_no_socket(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with self.assertNoLogs("asyncio"), self.assertRaises(OSError):
            await sockets.connect(Target("127.0.0.1", port), source=None, max_response=9)


class RecordsTest(unittest.IsolatedAsyncioTestCase):
    """Requests over a real socket, to a guest that only listens."""

    address = "127.0.0.1"

    async def asyncSetUp(self) -> None:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        server = socket.create_server((self.address, 0), family=family)
        self.addCleanup(server.close)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # the guest's, too
        target = Target(self.address, server.getsockname()[1])
        self.made = await self.connect(target)
        assert self.made._wire._sock is not None
        self.made._wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.guest, _ = server.accept()
        self.addCleanup(self.guest.close)
        self.guest.setblocking(False)
        self.ends: list[End] = []
        self.made.watch(lambda: None, self.ends.append)

    async def connect(self, target: Target) -> GuestConnection:
        made = await sockets.connect(target, source=None, max_response=9)
        self.addCleanup(made.close)
        return made

    def send(self, request: bytes, *, flush: bool = True) -> None:
        self.made.send(request, lambda _response: None, flush=flush)

    def reset(self) -> None:
        self.guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.guest.close()

    async def received(self, length: int) -> bytes:
        data = bytearray()
        async with asyncio.timeout(10):
            while len(data) < length:
                data += await asyncio.get_running_loop().sock_recv(self.guest, 1 << 16)
        return bytes(data)

    async def unanswered(self) -> int:
        """Wait for the end of the connection. Return how many requests the guest may have."""
        async with asyncio.timeout(10):
            while not self.ends:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for _ in range(9):  # a second end would come now
            await asyncio.sleep(0)
        (end,) = self.ends
        return end.unanswered

    async def test_the_socket_sends_a_request_that_fits(self) -> None:
        self.send(b"first")
        self.assertEqual(b"first", self.guest.recv(99))

    async def test_the_order_behind_a_request_that_does_not_fit(self) -> None:
        requests = [os.urandom(_TOO_LARGE), b"second", os.urandom(1 << 16), b"last"]
        for request in requests:
            self.send(request)
        assert self.made._wire._transport is not None
        self.assertGreater(self.made._wire._transport.get_write_buffer_size(), 1 << 16)
        everything = b"".join(requests)
        self.assertEqual(everything, await self.received(len(everything)))
        self.send(b"behind")
        self.assertEqual(b"behind", await self.received(6))

    async def test_a_reset_before_the_requests(self) -> None:
        """The kernel takes no byte of a request: none is in doubt."""
        self.reset()
        self.send(b"first", flush=False)
        self.send(b"second")
        self.send(b"third")
        self.assertEqual(0, await self.unanswered())

    async def test_a_reset_behind_half_a_request(self) -> None:
        """Each write that TCP may have sent is in doubt."""
        self.send(bytes(_TOO_LARGE))
        self.reset()
        self.send(b"second")
        self.assertEqual(2, await self.unanswered())

    async def test_the_transport_closes_the_socket(self) -> None:
        sock = self.made._wire._sock
        assert sock is not None
        number = sock.fileno()
        self.send(b"first")
        self.made.close()
        self.assertEqual(1, await self.unanswered())
        self.assertEqual(-1, sock.fileno())  # so it can write to no other file of this number
        with self.assertRaises(OSError):
            os.fstat(number)


class RecordsOverIPv6Test(RecordsTest):
    address = "::1"
