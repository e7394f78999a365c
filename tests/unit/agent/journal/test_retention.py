"""No step of the wall clock makes a record expire early."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.journal.retention import Cutoff

KEEP = 100.0
STEPS = st.sampled_from([0.0, 0.0, 500.0, -500.0, 9e5, -9e5])


class CutoffTest(unittest.TestCase):
    def setUp(self) -> None:
        self.monotonic, self.offset = 5.0, 1e9
        self.cutoff = Cutoff(KEEP, lambda: self.monotonic + self.offset, lambda: self.monotonic)

    def test_without_steps(self) -> None:
        self.monotonic += 30
        self.assertEqual(self.monotonic + self.offset - KEEP, self.cutoff.now())

    def test_a_forward_step_counts_after_its_time(self) -> None:
        made = self.monotonic + self.offset
        self.offset += 1e6
        for _ in range(9):
            self.monotonic += 10
            self.assertLess(self.cutoff.now(), made)
        self.monotonic += 20
        self.cutoff.now()
        self.monotonic += KEEP
        self.assertEqual(self.monotonic + self.offset - KEEP, self.cutoff.now())

    @given(st.lists(st.tuples(st.floats(0, 50), STEPS), max_size=40))
    def test_none_goes_early(self, moves: list[tuple[float, float]]) -> None:
        self.setUp()
        records: list[tuple[float, float]] = []  # when really, when by the wall clock
        for passed, step in moves:
            self.monotonic += passed
            self.offset += step
            cutoff = self.cutoff.now()
            for really, stamped in records:
                if self.monotonic - really < KEEP:
                    self.assertGreaterEqual(stamped + 1e-3, cutoff)
            records.append((self.monotonic, self.monotonic + self.offset))
