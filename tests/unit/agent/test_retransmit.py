"""Makes the kernel retransmit what a paused guest has not acknowledged."""

import socket
import struct
import unittest
from unittest import mock

from nova_cachemig.agent import retransmit


def folded(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class MessageTest(unittest.TestCase):
    def message(self, family, here, there):
        sock = mock.Mock(family=family)
        sock.getsockname.return_value = here
        sock.getpeername.return_value = there
        return retransmit._unreachable_message(sock, 0xFFFFFFF0)

    def test_ipv4_names_the_segment(self):
        message = self.message(socket.AF_INET, ("192.0.2.1", 4000), ("192.0.2.9", 80))
        self.assertEqual((3, 1), tuple(message[:2]))  # destination unreachable, host
        self.assertEqual(0xFFFF, folded(message))  # RFC 1071: a valid checksum
        segment = message[8:]
        self.assertEqual(0x45, segment[0])
        self.assertEqual(socket.IPPROTO_TCP, segment[9])
        self.assertEqual(bytes([192, 0, 2, 1, 192, 0, 2, 9]), segment[12:20])
        self.assertEqual((4000, 80, 0xFFFFFFF0), struct.unpack("!HHI", segment[20:]))

    def test_ipv6_names_the_segment(self):
        message = self.message(socket.AF_INET6, ("2001:db8::1", 4000, 0, 0), ("::9", 80, 0, 0))
        self.assertEqual((1, 0), tuple(message[:2]))  # destination unreachable, no route
        segment = message[8:]
        self.assertEqual(6, segment[0] >> 4)
        self.assertEqual(socket.IPPROTO_TCP, segment[6])
        self.assertEqual(socket.inet_pton(socket.AF_INET6, "2001:db8::1"), segment[8:24])
        self.assertEqual((4000, 80, 0xFFFFFFF0), struct.unpack("!HHI", segment[40:]))


class RequestRetransmissionTest(unittest.TestCase):
    def setUp(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.sock = socket.create_connection(listener.getsockname())
        self.addCleanup(self.sock.close)
        self.guest, _ = listener.accept()
        self.addCleanup(self.guest.close)

    def test_nothing_to_retransmit(self):
        with mock.patch.object(retransmit, "_first_unacknowledged") as asked:
            self.assertFalse(retransmit.request_retransmission(self.sock))
        asked.assert_not_called()

    def test_not_while_unsent_bytes_are_queued(self):
        self.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                self.sock.send(bytes(1 << 20))
        with mock.patch.object(retransmit, "_first_unacknowledged") as asked:
            self.assertFalse(retransmit.request_retransmission(self.sock))
        asked.assert_not_called()

    def test_missing_rights_are_logged_once(self):
        retransmit._warn_once.cache_clear()
        self.addCleanup(retransmit._warn_once.cache_clear)
        with (
            mock.patch.object(retransmit, "_queued_bytes", side_effect=[1, 0, 1, 0]),
            mock.patch.object(retransmit, "_first_unacknowledged", side_effect=PermissionError),
            self.assertLogs(retransmit.LOG, "WARNING") as logs,
        ):
            self.assertFalse(retransmit.request_retransmission(self.sock))
            self.assertFalse(retransmit.request_retransmission(self.sock))
        self.assertEqual(1, len(logs.output))
        self.assertIn("CAP_NET_RAW", logs.output[0])
