from __future__ import annotations

import socket
import unittest

from nova_cachemig.agent.replay import records


class RecordsTest(unittest.TestCase):
    def setUp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.ours = socket.create_connection(server.getsockname())
            self.theirs, _ = server.accept()
        self.addCleanup(self.ours.close)
        self.addCleanup(self.theirs.close)

    def test_all_bytes_arrive(self) -> None:
        data = b"POST / HTTP/1.1\r\n\r\n\0\xff"
        self.assertEqual(len(data), records.send(self.ours, data))
        self.assertEqual(data, self.theirs.recv(100))

    def test_it_never_waits(self) -> None:
        self.ours.setblocking(True)
        data = bytes(1 << 20)
        with self.assertRaises(BlockingIOError):
            for _ in range(1000):
                records.send(self.ours, data)

    def test_a_closed_connection_is_a_connection_error(self) -> None:
        self.theirs.close()
        with self.assertRaises(ConnectionError):
            for _ in range(1000):
                records.send(self.ours, b"x")

    def test_a_closed_socket_is_another_error(self) -> None:
        self.ours.close()
        with self.assertRaises(OSError) as caught:
            records.send(self.ours, b"x")
        self.assertNotIsInstance(caught.exception, ConnectionError)
