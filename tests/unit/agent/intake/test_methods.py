"""Methods that the parser knows, and others, however their bytes arrive."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.intake.methods import MethodReader


class MethodReaderTest(unittest.TestCase):
    def setUp(self) -> None:
        self.reader = MethodReader()

    def test_a_known_method_is_passed_on(self) -> None:
        for data in (b"PUT /a HTTP/1.1\r\n", b"\r\nGET / HTTP/1.1\r\n"):
            self.reader.begin()
            self.assertEqual(data.lstrip(), self.reader.take(data))
            self.assertIsNone(self.reader.own)

    def test_an_unknown_method_is_replaced(self) -> None:
        given = [self.reader.take(piece) for piece in (b"BRE", b"W", b" /pot HTTP/1.1\r\n")]
        self.assertEqual([b"", b"", b"POST /pot HTTP/1.1\r\n"], given)
        self.assertEqual("BREW", self.reader.own)

    def test_the_rest_of_a_request_is_not_changed(self) -> None:
        self.reader.take(b"BREW /pot HTTP/1.1\r\n")
        self.assertEqual(b"BREW x", self.reader.take(b"BREW x"))
        self.reader.begin()
        self.assertEqual(b"POST /2 ", self.reader.take(b"POST /2 "))
        self.assertIsNone(self.reader.own)

    def test_bytes_without_a_method_reach_the_parser(self) -> None:
        for data in (b"x" * 1000, b"no method\n"[:2] + b"\n", b"[] / HTTP/1.1"):
            self.reader = MethodReader()
            self.assertEqual(data, self.reader.take(data))
            self.assertIsNone(self.reader.own)
