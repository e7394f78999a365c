"""The requests that the guest gets, byte by byte."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.replay.request import ends_connection, head
from nova_cachemig.model.write import AcceptedWrite, Body


class RequestTest(unittest.TestCase):
    def make(self, host: str = "h:8", **facts: object) -> AcceptedWrite:
        return AcceptedWrite(
            "shop", 1, 1.0, "PUT", "/a?b", host, (("x", "\xe9"),), Body.of(b"abc"), "c", **facts
        )

    def test_head(self) -> None:
        expected = b'PUT /a?b HTTP/1.1\r\nhost: h:8\r\nx: \xe9\r\nidempotency-key: "k"\r\n'
        self.assertEqual(expected + b"content-length: 3\r\n\r\n", head(self.make(key='"k"')))

    def test_no_length_for_a_request_without_a_body(self) -> None:
        self.assertNotIn(b"content-length", head(self.make(framed=False)))

    def test_without_a_host_as_its_client_sent_it(self) -> None:
        """In HTTP/1.1, many servers refuse it."""
        hostless = self.make("")
        expected = b"PUT /a?b HTTP/1.0\r\nx: \xe9\r\ncontent-length: 3\r\n\r\n"
        self.assertEqual(expected, head(hostless))
        self.assertEqual([True, False], [ends_connection(hostless), ends_connection(self.make())])
