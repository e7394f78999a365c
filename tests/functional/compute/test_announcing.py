"""A bridge learns where a guest is, from frames that come out of the guest's own tap."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

from nova_cachemig.compute.announce.frames import frames
from tests.functional.compute import announcing

NAMES = sorted(kind + announcing.NIC.tap[-11:] for kind in ("cma", "cmp"))


class AnnouncingTest(unittest.TestCase):
    seen: dict[str, Any]

    @classmethod
    def setUpClass(cls) -> None:
        root = Path(__file__).parents[3]
        script = root / "tests/functional/compute/announcing.py"
        done = subprocess.run(
            ["unshare", "--net", sys.executable, str(script)],
            check=False,
            env={"PYTHONPATH": str(root), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        cls.seen = json.loads(done.stdout)

    def test_the_bridge_learns_the_tap_and_the_guest_gets_what_is_sent_to_it(self) -> None:
        ports = [self.seen["before"], self.seen["after"]]
        self.assertEqual(["uplink", announcing.NIC.tap], ports)

    def test_the_network_gets_each_frame_once(self) -> None:
        expected = [frame.hex() for frame in frames(announcing.NIC)]
        self.assertEqual((3, expected), (self.seen["sent"], self.seen["frames"]))

    def test_no_other_program_can_send_as_the_guest_by_the_device(self) -> None:
        self.assertEqual([], self.seen["forbidden"])

    def test_remains_are_replaced_and_removed(self) -> None:
        self.assertEqual((NAMES, []), (self.seen["left"], self.seen["removed"]))

    def test_sending_takes_no_time(self) -> None:
        self.assertLess(self.seen["sending"], 0.05)
