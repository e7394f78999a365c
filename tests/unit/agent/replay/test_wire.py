"""The bytes of one connection: records, the order of bytes, a closed transport."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from nova_cachemig.agent.replay import records
from nova_cachemig.agent.replay.wire import Wire


class WireTest(unittest.TestCase):
    def make(self, *accepted: Any, buffered: int = 0) -> Wire:
        """``accepted``: the numbers of bytes that the socket accepts, or errors that it raises."""
        self.sent = self.enterContext(mock.patch.object(records, "send", side_effect=accepted))
        self.transport = mock.Mock()
        self.transport.is_closing.return_value = False
        self.transport.get_write_buffer_size.return_value = buffered
        self.sock = mock.Mock()
        made = Wire(self.sock)
        made.attach(self.transport)
        return made

    def written(self) -> list[bytes]:
        return [call.args[0] for call in self.transport.write.call_args_list]

    def test_a_write_is_one_record_of_the_socket(self) -> None:
        self.assertTrue(self.make(9).write(b"request 1"))
        self.sent.assert_called_once_with(self.sock, b"request 1")
        self.assertEqual([], self.written())

    def test_the_transport_sends_what_the_socket_did_not_accept(self) -> None:
        wire = self.make(4, BlockingIOError, OSError)
        for number in (1, 2, 3):
            self.assertTrue(wire.write(b"request %d" % number))
        self.assertEqual([b"est 1", b"request 2", b"request 3"], self.written())

    def test_the_order_of_bytes_is_kept(self) -> None:
        self.make(buffered=9).write(b"request 1")
        self.assertFalse(self.sent.called)
        self.assertEqual([b"request 1"], self.written())

    def test_a_guest_that_has_closed(self) -> None:
        """Its earlier bytes can still be read."""
        with self.assertRaises(ConnectionError):
            self.make(BrokenPipeError).write(b"request 1")
        self.assertEqual([], self.written())

    def test_nothing_is_done_with_a_closed_transport(self) -> None:
        """uvloop would raise RuntimeError."""
        wire = self.make()
        self.transport.is_closing.return_value = True
        self.transport.reset_mock()
        self.assertEqual(
            (False, False, False, False),
            (wire.open, wire.write(b"x"), wire.has_lost_segments, wire.retransmit()),
        )
        wire.read_on(False)
        wire.limit_buffer(0)
        wire.abort()
        self.assertEqual({"is_closing"}, {call[0] for call in self.transport.method_calls})

    def test_reading_is_paused_once(self) -> None:
        wire = self.make()
        for wanted in (True, False, False, True):
            wire.read_on(wanted)
        self.transport.pause_reading.assert_called_once_with()
        self.transport.resume_reading.assert_called_once_with()

    def test_abort_resets(self) -> None:
        """Otherwise the kernel would go on retransmitting."""
        self.make().abort()
        (call,) = self.transport.get_extra_info.return_value.setsockopt.call_args_list
        self.assertEqual(b"\1\0\0\0\0\0\0\0", call.args[2])  # SO_LINGER on, 0 s
        self.transport.abort.assert_called_once_with()
