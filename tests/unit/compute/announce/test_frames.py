"""Each frame has the guest's MAC address as its source and is what its standard says."""

from __future__ import annotations

import ipaddress
import struct
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute.announce.frames import MAX_ADDRESSES, Nic, checksum, frames

MACS = st.binary(min_size=6, max_size=6).filter(lambda mac: not mac[0] & 1)
ADDRESSES = st.lists(st.ip_addresses(), max_size=2 * MAX_ADDRESSES).map(tuple)
MAC = bytes.fromhex("fa163e0a0b0c")


class FramesTest(unittest.TestCase):
    @given(MACS, ADDRESSES)
    def test_every_frame_comes_from_the_guest(self, mac: bytes, addresses: tuple) -> None:  # type: ignore[type-arg]
        found = frames(Nic("tap", mac, addresses))
        self.assertTrue(1 <= len(found) <= 1 + MAX_ADDRESSES)
        for frame in found:
            self.assertEqual(mac, frame[6:12])
            self.assertTrue(frame[0] & 1)  # for more than one receiver
            self.assertTrue(60 <= len(frame) <= 86)

    def test_a_rarp_request_as_qemu_sends_it(self) -> None:
        [frame] = frames(Nic("tap", MAC))
        expected = "ffffffffffff fa163e0a0b0c 8035 0001 0800 06 04 0003"
        expected += "fa163e0a0b0c 00000000 fa163e0a0b0c 00000000"
        self.assertEqual(bytes.fromhex(expected) + bytes(18), frame)

    @given(MACS, st.ip_addresses(v=4, network="10.0.0.0/8"))
    def test_a_gratuitous_arp(self, mac: bytes, address: ipaddress.IPv4Address) -> None:
        _, frame = frames(Nic("tap", mac, (address,)))
        own = address.packed
        fields = struct.unpack("!6s6sHHHBBH6s4s6s4s18s", frame)
        arp = (0x0806, 1, 0x0800, 6, 4, 1, mac, own, bytes(6), own, bytes(18))
        self.assertEqual((b"\xff" * 6, mac, *arp), fields)

    @given(MACS, st.ip_addresses(v=6, network="2001:db8::/32"))
    def test_an_unsolicited_advertisement(self, mac: bytes, address: ipaddress.IPv6Address) -> None:
        _, frame = frames(Nic("tap", mac, (address,)))
        header = struct.unpack("!HIHBB", frame[12:22])
        self.assertEqual((0x86DD, 0x60000000, 32, 58, 255), header)
        source, destination, message = frame[22:38], frame[38:54], frame[54:]
        self.assertEqual((address.packed, 32), (source, len(message)))
        self.assertEqual(ipaddress.ip_address("ff02::1").packed, destination)
        self.assertEqual(bytes.fromhex("333300000001"), frame[:6])
        # No router, not solicited, override.
        kind, code, flags = struct.unpack("!BB2xI", message[:8])
        self.assertEqual((136, 0, 0x20000000), (kind, code, flags))
        self.assertEqual(address.packed + b"\x02\x01" + mac, message[8:])
        pseudo = source + destination + struct.pack("!II", len(message), 58)
        self.assertEqual(0, checksum(pseudo + message))

    def test_no_frame_for_an_address_that_says_nothing_about_the_guest(self) -> None:
        for text in ("fe80::1", "169.254.1.1", "ff02::1", "224.0.0.1", "::", "0.0.0.0"):
            with self.subTest(text):
                self.assertEqual(1, len(frames(Nic("tap", MAC, (ipaddress.ip_address(text),)))))

    def test_what_is_no_mac_address_of_a_nic(self) -> None:
        for mac in (b"", MAC[:5], MAC + b"\0", b"\xff" * 6, b"\x01" + MAC[1:]):
            with self.subTest(mac), self.assertRaisesRegex(ValueError, "not the MAC address"):
                Nic("tap", mac)
