"""The parts that need no tap. The rest is in functional/compute/test_announcing.py."""

from __future__ import annotations

import ipaddress
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.compute.announce import tap
from nova_cachemig.compute.announce.frames import Nic, frames


class CapabilitiesTest(unittest.TestCase):
    def missing(self, effective: str) -> list[str]:
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "status"
        path.write_text(f"Name:\tx\n{effective}CapBnd:\t000001ffffffffff\n")
        return tap.missing_capabilities(path)

    def test_each(self) -> None:
        both = ["CAP_NET_ADMIN", "CAP_NET_RAW"]
        self.assertEqual(both, self.missing("CapEff:\t0000000000000000\n"))
        self.assertEqual(both[1:], self.missing("CapEff:\t0000000000001000\n"))
        self.assertEqual(both[:1], self.missing("CapEff:\t0000000000002000\n"))
        self.assertEqual([], self.missing("CapEff:\t000001ffffffffff\n"))
        self.assertEqual(both, self.missing(""))


class MatchesTest(unittest.TestCase):
    def test_a_nic_matches_its_own_frames_and_no_others(self) -> None:
        addresses = tuple(map(ipaddress.ip_address, ("192.0.2.7", "2001:db8::7")))
        mac = bytes.fromhex("fa163e0a0b0c")
        for other in (mac, bytes.fromhex("fa163e0a0b0d"), bytes.fromhex("fb163e0a0b0c")):
            for frame in frames(Nic("tap", mac, addresses)):
                self.assertEqual(other == mac, self.passes(frame, other))

    def passes(self, frame: bytes, mac: bytes) -> bool:
        """Compare as the kernel's classifier u32 does, which begins behind the Ethernet header."""
        kind, packet = int.from_bytes(frame[12:14], "big"), frame[14:]
        [keys] = [keys for wanted, keys in tap._matches(mac) if wanted == kind]
        for key in keys:
            value, mask, offset = (int(x, 0) for x in key.replace("+", "/").split("/"))
            self.assertLessEqual(offset + 4, len(packet))
            if int.from_bytes(packet[offset : offset + 4], "big") & mask != value:
                return False
        return True
