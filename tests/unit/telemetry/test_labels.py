"""Labels as Prometheus and its users write them, and labels that name no host."""

from __future__ import annotations

import ipaddress
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.telemetry.labels import canonical, host_of

PORTS = st.none() | st.integers(0, 65535)
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,20}[A-Za-z0-9])?", fullmatch=True)


def with_port(host: str, port: int | None) -> str:
    return host if port is None else f"{host}:{port}"


class HostOf(unittest.TestCase):
    @given(NAMES | st.ip_addresses(v=4).map(str), PORTS)
    def test_a_name_or_an_ipv4_address(self, host: str, port: int | None) -> None:
        self.assertEqual(host, host_of(with_port(host, port)))

    @given(st.ip_addresses(v=6), PORTS, st.booleans())
    def test_an_ipv6_address_in_brackets(
        self, address: ipaddress.IPv6Address, port: int | None, long: bool
    ) -> None:
        text = address.exploded.upper() if long else str(address)
        self.assertEqual(str(address), host_of(with_port(f"[{text}]", port)))

    @given(st.ip_addresses(v=6))
    def test_an_ipv6_address_without_brackets_has_no_port(
        self, address: ipaddress.IPv6Address
    ) -> None:
        self.assertEqual(str(address), host_of(address.exploded))

    def test_a_zone_is_kept(self) -> None:
        self.assertEqual("fe80::1%eth0", host_of("[fe80::1%eth0]:9100"))

    def test_no_host(self) -> None:
        for label in (
            "",
            ":9100",
            "[]:9100",
            "[::1",
            "::1]:9100",
            "[cmp1]:9100",
            "[10.0.0.1]:9100",
            "[::1]9100",
            "cmp1:http",
            "cmp1:9100/metrics",
            "a b:9100",
            "cmp1:1:2",
        ):
            with self.subTest(label=label), self.assertRaises(ValueError):
                host_of(label)

    @given(st.text(max_size=30))
    def test_any_text_is_a_host_or_a_value_error(self, label: str) -> None:
        try:
            host = host_of(label)
        except ValueError:
            return
        self.assertTrue(host)
        self.assertIn(host.lower()[:1], f"{label.lower()}:")


class Canonical(unittest.TestCase):
    @given(st.ip_addresses(v=6), st.booleans())
    def test_all_ways_to_write_an_address_are_one(
        self, address: ipaddress.IPv6Address, brackets: bool
    ) -> None:
        text = address.exploded.upper()
        self.assertEqual(str(address), canonical(f"[{text}]" if brackets else text))

    @given(NAMES)
    def test_names_are_left_alone(self, name: str) -> None:
        self.assertEqual(name, canonical(name))
