"""The rules for names and addresses."""

from __future__ import annotations

import unittest

from nova_cachemig.model import naming


class NamingTest(unittest.TestCase):
    def test_cookie_names(self) -> None:
        for text in ("sid", "my+cookie", "__Host-id", "!#$%&'*+-.^_`|~", "a" * 64):
            self.assertTrue(naming.is_cookie_name(text), text)
        for text in ("", "a b", "a;b", "a=b", "a,b", 'a"', "a\\", "a\n", "ä", "a" * 65):
            self.assertFalse(naming.is_cookie_name(text), text)

    def test_host_names(self) -> None:
        for text in ("shop.example", "a_b.example", "xn--bcher-kva.example", "localhost"):
            self.assertTrue(naming.is_host_name(text), text)
        for text in ("", ".", "a..b", "Shop.example", "a b", "a:80", "a|b", "-a", "a" * 64, "é",
                     ".".join(["a" * 60] * 5), "a\n"):  # fmt: skip
            self.assertFalse(naming.is_host_name(text), text)

    def test_ports(self) -> None:
        self.assertEqual([False, True, True, False], [*map(naming.is_port, (0, 1, 65535, 65536))])

    def test_addresses(self) -> None:
        self.assertEqual("2001:db8::1", str(naming.ip_address("2001:DB8:0::1")))
        for text in ("", "shop.example", "192.0.2.1:80", "fe80::1%eth0", "192.0.2.1\n"):
            with self.assertRaises(ValueError):
                naming.ip_address(text)

    def test_an_address_that_no_guest_can_have(self) -> None:
        self.assertEqual("2001:db8::1", naming.guest_address("2001:DB8:0::1"))
        self.assertEqual("64:ff9b::a00:5", naming.guest_address("64:ff9b::10.0.0.5"))
        for text, kind in (
            ("127.0.0.1", "loopback"), ("::1", "loopback"), ("224.0.0.1", "multicast"),
            ("ff02::1", "multicast"), ("0.0.0.0", "unspecified"), ("0.1.2.3", "unspecified"),
            ("::", "unspecified"), ("169.254.169.254", "link-local"), ("fe80::1", "link-local"),
            ("255.255.255.255", "reserved"), ("::ffff:10.0.0.5", "write 10.0.0.5"),
            ("shop", "not an IP address"),
        ):  # fmt: skip
            with self.subTest(text), self.assertRaisesRegex(ValueError, kind):
                naming.guest_address(text)
