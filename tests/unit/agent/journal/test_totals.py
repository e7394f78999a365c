"""The totals of the writes."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.journal.totals import WriteTotals


class WriteTotalsTest(unittest.TestCase):
    def test_a_response_has_its_wait(self) -> None:
        totals = WriteTotals()
        totals.add_response(0.3)
        totals.add_response(0.4)
        self.assertEqual(2, totals.responded)
        self.assertAlmostEqual(0.7, totals.waits.copy().total)
