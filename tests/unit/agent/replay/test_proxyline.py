"""The header of the PROXY protocol."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.replay import proxyline
from nova_cachemig.model.service import SendProxy, Target
from nova_cachemig.model.write import AcceptedWrite, Body

FOUR, SIX = Target("192.0.2.1", 80), Target("2001:db8::1", 8080)
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def write(client: str, *forwarded: str) -> AcceptedWrite:
    headers = tuple(("X-Forwarded-For", one) for one in forwarded)
    return AcceptedWrite("shop", 1, 0.0, "PUT", "/", "h", headers, Body.of(b"x"), client)


class HeaderTest(unittest.TestCase):
    def test_text(self) -> None:
        for client, target, line in (
            ("198.51.100.7", FOUR, b"PROXY TCP4 198.51.100.7 192.0.2.1 0 80\r\n"),
            ("2001:db8::7", SIX, b"PROXY TCP6 2001:db8::7 2001:db8::1 0 8080\r\n"),
            ("2001:db8::7", FOUR, b"PROXY UNKNOWN\r\n"),
        ):
            self.assertEqual(line, proxyline.header(SendProxy.V1, write(client), target))

    def test_binary(self) -> None:
        six = "20010db8" + "0" * 23
        for client, target, rest in (
            ("198.51.100.7", FOUR, "2111000cc6336407c000020100000050"),
            ("2001:db8::7", SIX, "21210024" + six + "7" + six + "1" + "00001f90"),
            ("198.51.100.7", SIX, "20000000"),
        ):
            found = proxyline.header(SendProxy.V2, write(client), target)
            self.assertEqual(SIGNATURE + bytes.fromhex(rest), found)

    def test_a_client_that_a_cookie_identifies(self) -> None:
        found = proxyline.client_of(write("cookie-ab", "10.0.0.1", "10.0.0.2, 198.51.100.7"))
        self.assertEqual("198.51.100.7", str(found))
        self.assertIsNone(proxyline.client_of(write("cookie-ab")))
        self.assertIsNone(proxyline.client_of(write("cookie-ab", "unknown")))
