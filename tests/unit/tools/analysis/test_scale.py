from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tools.measurement.analysis.scale import FASTEST, Frame, clock, latency_ticks, seconds_ticks

FRAME = Frame(left=50, right=150, top=10, bottom=110, start=-1, end=4, slowest=5, origin=20)


class FrameTest(unittest.TestCase):
    def test_edges(self) -> None:
        self.assertEqual((50, 150), (FRAME.x(19), FRAME.x(24)))
        self.assertEqual((110, 10), (FRAME.y(FASTEST), round(FRAME.y(5), 6)))
        self.assertAlmostEqual(60, FRAME.y((FASTEST * 5) ** 0.5))

    @given(st.floats(-1e6, 1e6), st.floats(-1, 1e6))
    def test_all_is_kept_within(self, at: float, latency: float) -> None:
        self.assertTrue(50 <= FRAME.x(at) <= 150)
        self.assertTrue(10 - 1e-6 <= FRAME.y(latency) <= 110)

    def test_shows(self) -> None:
        self.assertEqual([False, True, False], [FRAME.shows(at) for at in (18.9, 20, 24.1)])


class TicksTest(unittest.TestCase):
    @given(st.floats(-500, 500), st.floats(0.5, 900))
    def test_seconds(self, start: float, span: float) -> None:
        ticks = seconds_ticks(start, start + span, 7)
        self.assertTrue(2 <= len(ticks) <= 8, ticks)
        self.assertTrue(all(start - 1e-3 <= tick <= start + span + 1e-3 for tick in ticks))

    def test_round_steps(self) -> None:
        self.assertEqual([-1, 0, 1, 2], seconds_ticks(-1.2, 2.6, 5))

    def test_latencies(self) -> None:
        self.assertEqual(["1 ms", "10 ms", "100 ms", "1 s"], [name for _, name in latency_ticks(3)])

    def test_clock(self) -> None:
        self.assertEqual(["\N{MINUS SIGN}1", "0", "+0.5"], [clock(s) for s in (-1, 0, 0.5)])
