from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.depth import depth_figures, drained, sampled, steps, usual

GAP = Blackout(2.0, 3.0)
SPANS = st.lists(st.tuples(st.floats(0, 20), st.floats(0.001, 20), st.floats(0, 5)))


class StepsTest(unittest.TestCase):
    def test_a_write_with_a_202_waits_until_it_is_applied(self) -> None:
        requests = [makers.write(1.0, 2.0), makers.write(2.0, 0.1, applied=4.0), makers.read(0)]
        self.assertEqual([(1.0, 1), (2.0, 2), (3.0, 1), (4.0, 0)], steps(requests))

    @given(SPANS)
    def test_is_what_counting_gives(self, spans: list[tuple[float, float, float]]) -> None:
        writes = [makers.write(at, wait, applied=at + wait + more) for at, wait, more in spans]
        for at, depth in sampled(steps(writes), 0.5, 45.0):
            self.assertEqual(sum(w.sent <= at < w.responded for w in writes), depth)

    def test_points_begin_at_zero_and_reach_the_end(self) -> None:
        self.assertEqual([(0.0, 0), (1.0, 1), (2.0, 0)], sampled([(0.5, 1), (1.5, 0)], 1.0, 2.0))


class DrainedTest(unittest.TestCase):
    def test_until_only_the_usual_wait(self) -> None:
        # three are in flight at any time before, so three may be when it is drained
        before = [makers.write(n / 10, 0.3) for n in range(18)]
        queued = [makers.write(2.1, 0.01, applied=3.0 + n / 100) for n in range(200)]
        found = steps([*before, *queued])
        self.assertEqual(3, usual(found, 2.0))
        self.assertAlmostEqual(1.96, drained(found, GAP) or 0, places=6)

    def test_nothing_waited(self) -> None:
        self.assertEqual(0.0, drained([], GAP))
        self.assertEqual(0.0, drained(steps([makers.write(1.0), makers.write(5.0)]), GAP))

    def test_at_the_very_end(self) -> None:
        self.assertEqual(0.5, drained([(2.1, 5), (3.5, 0)], GAP))

    def test_never(self) -> None:
        self.assertIsNone(drained([(2.1, 5), (9.0, 4)], GAP))


class FiguresTest(unittest.TestCase):
    def test_a_drain(self) -> None:
        queued = [makers.write(2.0 + n / 100, status=202, applied=4.5) for n in range(50)]
        new = [makers.write(3.5, status=202, applied=4.9), makers.write(5.0, status=202)]
        figures = depth_figures([*queued, *new], GAP)
        self.assertEqual(51, figures["depth_max"])
        self.assertEqual((1.5, 1), (figures["drained_s"], figures["writes_during_drain"]))
        self.assertEqual(
            (52, 1), (figures["writes_accepted"], figures["writes_accepted_unresolved"])
        )
        self.assertEqual([2.2, 21], figures["depth"][22])
        self.assertEqual([5.0, 1], figures["depth"][-1])

    def test_without_a_blackout(self) -> None:
        figures = depth_figures([makers.read(1)], None)
        self.assertEqual((None, None), (figures["drained_s"], figures["writes_during_drain"]))
        self.assertEqual((0, 0), (figures["depth_max"], figures["writes_accepted"]))
