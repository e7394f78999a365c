"""The socket of a connection to the guest."""

from __future__ import annotations

import asyncio
import socket
import unittest

from nova_cachemig.agent.replay import sockets
from nova_cachemig.model.service import Target


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
            Target("127.0.0.1", self.port), source="127.0.0.9", user_timeout=7.5, max_response=9
        )
        self.addCleanup(made.close)
        await self.arrived.wait()
        self.assertEqual("127.0.0.9", self.peers[0][0])
        assert made._transport is not None
        sock = made._transport.get_extra_info("socket")
        tcp = socket.IPPROTO_TCP
        self.assertEqual(
            (1, 1, 7500),
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
            await sockets.connect(
                Target("127.0.0.1", port), source=None, user_timeout=1.0, max_response=9
            )
