"""The histogram: its buckets include their limits, and a copy does not change."""

from __future__ import annotations

import unittest

from nova_cachemig.model.waits import Waits


class WaitsTest(unittest.TestCase):
    def test_each_wait_is_in_its_bucket_and_in_the_later_ones(self) -> None:
        waits = Waits((0.1, 1.0))
        before = waits.copy()
        for seconds in (0.0, 0.1, 0.5, 7.0):
            waits.add(seconds)
        after = waits.copy()
        self.assertEqual([("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)], list(after.cumulative()))
        self.assertAlmostEqual(7.6, after.total)
        self.assertEqual([("0.1", 0.0), ("1.0", 0.0), ("+Inf", 0.0)], list(before.cumulative()))
