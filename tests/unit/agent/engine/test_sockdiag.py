"""sock_diag on connections that the test opens."""

from __future__ import annotations

import socket
import unittest

from nova_cachemig.agent.engine import sockdiag


class Listing(unittest.TestCase):
    def pair(self, family: socket.AddressFamily, address: str) -> tuple[socket.socket, ...]:
        server = socket.socket(family)
        self.addCleanup(server.close)
        server.bind((address, 0))
        server.listen()
        client = socket.create_connection(server.getsockname()[:2])
        self.addCleanup(client.close)
        accepted, _ = server.accept()
        self.addCleanup(accepted.close)
        return server, client, accepted

    def test_the_connections_to_an_address_are_found_and_none_is_stuck(self) -> None:
        families = [(socket.AF_INET, "127.0.0.1")]
        if socket.has_ipv6:
            families.append((socket.AF_INET6, "::1"))
        for family, address in families:
            try:
                server, client, _ = self.pair(family, address)
            except OSError:
                continue  # this machine has no IPv6 loopback
            port = server.getsockname()[1]
            found = sockdiag.connections(address, port)
            self.assertEqual([client.getsockname()[1]], [c.source_port for c in found])
            self.assertEqual([(address, port)], [(c.address, c.port) for c in found])
            self.assertFalse(found[0].stuck)
            self.assertEqual([], sockdiag.connections(address, 1))

    def test_stuck_means_retransmitted_and_unacknowledged(self) -> None:
        def one(retransmissions: int, unacknowledged: int) -> sockdiag.Connection:
            return sockdiag.Connection(2, b"", 1, 2, "a", retransmissions, unacknowledged)

        self.assertEqual(
            [False, False, False, True],
            [one(0, 0).stuck, one(0, 9).stuck, one(1, 0).stuck, one(1, 9).stuck],
        )

    def test_a_connection_can_be_cut(self) -> None:
        server, client, _ = self.pair(socket.AF_INET, "127.0.0.1")
        found = sockdiag.connections(*server.getsockname())
        try:
            self.assertTrue(sockdiag.destroy(found[0]))
        except sockdiag.ComponentError as exc:
            self.assertIn("CAP_NET_ADMIN", str(exc))
            return  # without the capability, only the error can be checked
        with self.assertRaises(OSError):
            client.recv(1)
        self.assertFalse(sockdiag.destroy(found[0]))
