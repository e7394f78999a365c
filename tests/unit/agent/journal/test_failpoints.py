"""A failpoint acts once, at the armed point only."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.journal.failpoints import FailpointHit, Failpoints


class FailpointsTest(unittest.TestCase):
    def test_off_unless_armed(self) -> None:
        points = Failpoints()
        for _ in range(3):
            self.assertIsNone(points.hit("sent"))

    def test_fails_at_the_nth_hit_and_only_then(self) -> None:
        points = Failpoints(["sent=fail@2"])
        points.hit("responded")
        points.hit("sent")
        with self.assertRaises(FailpointHit):
            points.hit("sent")
        points.hit("sent")

    def test_malformed(self) -> None:
        for text in ("sent", "sent=", "nowhere=kill", "sent=explode", "sent=kill@x"):
            with self.subTest(text), self.assertRaises(ValueError):
                Failpoints([text])
