"""The totals keep the causes to the known ones."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine.totals import EdgeTotals


class EdgeTotalsTest(unittest.TestCase):
    def test_everything_is_counted_by_a_known_name(self) -> None:
        totals = EdgeTotals()
        for cause in ("guest", "hold", "cache", "hold", "x" * 100):
            totals.refuse(cause)
        totals.read(hit=True, miss=False)
        totals.read(hit=False, miss=True)
        totals.read(hit=False, miss=False)
        totals.hold(0.2)
        self.assertEqual({"guest": 1, "hold": 2, "cache": 1, "other": 1}, totals.refused)
        self.assertEqual({"hit": 1, "miss": 1}, totals.reads)
        self.assertEqual((1, 0.2), (totals.held_requests, totals.held.copy().total))
