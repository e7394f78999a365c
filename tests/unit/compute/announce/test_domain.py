"""The NICs in a description as libvirt writes it; other texts are refused."""

from __future__ import annotations

import contextlib
import ipaddress
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute.announce.domain import MAX_NICS, nics
from nova_cachemig.compute.announce.frames import Nic

INTERFACE = """
<interface type='{kind}'><mac address='{mac}'/>{target}<model type='virtio'/></interface>
"""
PORTS = """
<metadata><nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"><nova:ports>
<nova:port uuid="0a1b2c3d-4e5f-4a5b-8c7d-0123456789ab">
<nova:ip type="fixed" address="192.0.2.7" ipVersion="4"/>
<nova:ip type="fixed" address="2001:db8::7" ipVersion="6"/>
<nova:ip type="fixed" address="nonsense" ipVersion="6"/>
</nova:port></nova:ports></nova:instance></metadata>
"""
TAP = "tap0a1b2c3d-4e"


def interface(kind: str = "ethernet", mac: str = "fa:16:3e:0a:0b:0c", tap: str | None = TAP) -> str:
    target = "" if tap is None else f"<target dev='{tap}'/>"
    return INTERFACE.format(kind=kind, mac=mac, target=target)


def domain(*interfaces: str, metadata: str = "") -> str:
    return f"<domain>{metadata}<devices>{''.join(interfaces)}</devices></domain>"


class NicsTest(unittest.TestCase):
    def test_a_tap_with_the_addresses_of_its_port(self) -> None:
        addresses = (ipaddress.ip_address("192.0.2.7"), ipaddress.ip_address("2001:db8::7"))
        expected = (Nic(TAP, bytes.fromhex("fa163e0a0b0c"), addresses),)
        self.assertEqual(expected, nics(domain(interface(), metadata=PORTS)))

    def test_a_tap_of_another_port_or_without_a_port_has_no_addresses(self) -> None:
        for tap in ("tap0a1b2c3d-4f", "vnet0", "tap", "tap0"):
            with self.subTest(tap):
                [nic] = nics(domain(interface(tap=tap), metadata=PORTS))
                self.assertEqual((), nic.addresses)

    def test_what_has_no_tap(self) -> None:
        for one in (
            interface("hostdev"),
            interface("vhostuser"),
            interface("direct"),
            interface(tap=None),
            interface(tap="x" * 16),
            interface(mac="ff:ff:ff:ff:ff:ff"),
            interface(mac="nonsense"),
        ):
            with self.subTest(one):
                self.assertEqual((), nics(domain(one)))

    def test_no_more_than_the_limit(self) -> None:
        self.assertEqual(MAX_NICS, len(nics(domain(*[interface()] * 40))))

    def test_what_is_no_description(self) -> None:
        for text in ("", "<domain>", " " * (1 << 20) + "<domain/>"):
            with self.subTest(text[:10]), self.assertRaisesRegex(ValueError, "description"):
                nics(text)

    @given(st.text())
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            self.assertEqual((), nics(text))
