"""The response to the edge's check."""

from __future__ import annotations

import asyncio
import unittest
from unittest import mock

from nova_cachemig.agent.intake.liveness import LivenessProtocol

REQUEST = b"GET /alive HTTP/1.1\r\nHost: agent\r\n\r\n"


class LivenessTest(unittest.TestCase):
    def setUp(self) -> None:
        self.protocol = LivenessProtocol()
        self.transport = mock.Mock(spec=asyncio.Transport)
        self.transport.is_closing.return_value = False
        self.protocol.connection_made(self.transport)

    def test_a_check_gets_204_and_the_connection_ends(self) -> None:
        self.protocol.data_received(REQUEST)
        (response,) = self.transport.write.call_args.args
        self.assertTrue(response.startswith(b"HTTP/1.1 204 "))
        self.transport.close.assert_called_once_with()

    def test_half_a_request_waits_for_the_rest(self) -> None:
        self.protocol.data_received(REQUEST[:20])
        self.transport.write.assert_not_called()
        self.protocol.data_received(REQUEST[20:])
        self.transport.write.assert_called_once()

    def test_a_connection_that_sends_anything_else_ends(self) -> None:
        self.protocol.data_received(b"x" * 5000)
        self.transport.abort.assert_called_once_with()
        self.transport.write.assert_not_called()

    def test_nothing_is_sent_after_the_end(self) -> None:
        self.protocol.connection_lost(None)
        self.protocol.data_received(REQUEST)
        self.transport.write.assert_not_called()
