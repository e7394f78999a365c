"""The end of a connection is noticed before the event loop has seen it."""

from __future__ import annotations

import socket
import unittest
from unittest import mock

from nova_cachemig.agent.intake.peer import Peer


class PeerTest(unittest.TestCase):
    def setUp(self) -> None:
        own, self.other = socket.socketpair()
        self.addCleanup(own.close)
        self.addCleanup(self.other.close)
        self.peer = Peer()
        self.peer.transport = mock.Mock()
        self.peer.transport.is_closing.return_value = False
        self.peer.transport.get_extra_info.return_value = own

    def test_it_waits(self) -> None:
        self.other.send(b"a request")
        self.assertTrue(self.peer.is_connected())

    def test_it_has_left(self) -> None:
        self.assertTrue(self.peer.is_connected())
        self.other.send(b"a request")
        self.other.close()
        self.assertFalse(self.peer.is_connected())

    def test_this_end_is_closed(self) -> None:
        assert isinstance(self.peer.transport, mock.Mock)
        self.peer.transport.is_closing.return_value = True
        self.assertFalse(self.peer.is_connected())
        self.peer.transport = None
        self.assertFalse(self.peer.is_connected())
