from __future__ import annotations

import unittest

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.blackout import Blackout, blackouts, gaps, longest, stall
from tools.measurement.analysis.outcome import Probe


class BlackoutTest(unittest.TestCase):
    def test_a_gap_less_the_interval(self) -> None:
        self.assertEqual([Blackout(1.5, 4.0)], gaps([4.0, 0.5, 1.0], 0.5))

    def test_probes_show_start_and_end(self) -> None:
        found = blackouts(makers.run([], (2.0, 3.2)))
        self.assertEqual(1, len(found))
        self.assertAlmostEqual(2.001, found[0].start, places=3)
        self.assertAlmostEqual(3.201, found[0].end, places=3)

    def test_blackouts_alike_count_and_jitter_does_not(self) -> None:
        found = blackouts(makers.run([], (1.0, 2.0), (4.0, 4.3), (6.0, 6.9)))
        self.assertEqual([1.0, 6.0], [round(gap.start, 1) for gap in found])

    def test_the_longest_counts_however_short(self) -> None:
        found = blackouts(makers.run([], (2.0, 2.06)))
        self.assertEqual(1, len(found))
        self.assertAlmostEqual(0.06, found[0].seconds, places=3)

    def test_without_probes_the_guests_responses_show_them(self) -> None:
        responses = [makers.read(n / 10, 0.0) for n in range(100) if not 30 <= n < 50]
        hits = [makers.read(n / 10, 0.0, hit=True) for n in range(30, 50)]
        run = makers.run(responses + hits, probes=[], probe_interval=None)
        gap = longest(blackouts(run))
        assert gap is not None
        self.assertAlmostEqual(3.0, gap.start)
        self.assertAlmostEqual(5.0, gap.end)

    def test_nothing_was_asked(self) -> None:
        self.assertEqual([], blackouts(makers.run(probes=[], probe_interval=None)))
        self.assertEqual([], blackouts(makers.run(probes=[])))
        self.assertIsNone(longest([]))

    def test_covers_its_start_and_not_its_end(self) -> None:
        gap = Blackout(1.0, 2.0)
        self.assertTrue(gap.covers(1.0))
        self.assertFalse(gap.covers(2.0))

    def test_the_guest_stalls_until_a_new_probe_gets_its_response_at_once(self) -> None:
        probes = [Probe(0.5, 2.5), Probe(1.0, 1.06), Probe(1.1, 1.2), Probe(1.3, 1.34)]
        self.assertAlmostEqual(0.2, stall([*probes, Probe(1.5, 1.9)], 1.0))
        self.assertEqual(0.0, stall(probes, 1.25))
