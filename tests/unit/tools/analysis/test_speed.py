"""How slow the machine was."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.figures import figures
from tools.measurement.analysis.speed import BUSY, FEWEST, LocalSlowdown, slowdown


class SlowdownTest(unittest.TestCase):
    def test_mean_of_the_span_against_the_best_of_the_run(self) -> None:
        samples = [(n / 100, 0.002 if 500 <= n < 600 else 0.001) for n in range(1000)]
        self.assertEqual(2.0, slowdown(samples, [(5.0, 6.0)]))
        self.assertEqual(1.0, slowdown(samples, [(1.0, 2.0)]))
        self.assertEqual(1.5, slowdown(samples, [(4.0, 5.0), (5.0, 6.0)]))

    def test_too_few_samples_say_nothing(self) -> None:
        self.assertIsNone(slowdown([], [(0.0, 1.0)]))
        self.assertIsNone(slowdown([(0.0, 0.001)] * (FEWEST - 1), [(0.0, 1.0)]))

    @given(st.lists(st.floats(1e-5, 1e-2), min_size=FEWEST, max_size=200))
    def test_is_never_below_one(self, pieces: list[float]) -> None:
        found = slowdown([(n / 100, took) for n, took in enumerate(pieces)], [(0.0, 9.0)])
        assert found is not None
        self.assertGreaterEqual(found, 1.0)

    def test_only_the_return_counts(self) -> None:
        samples = [(n / 100, 0.002 if 270 <= n < 331 else 0.001) for n in range(1000)]
        told = figures(makers.run([], (2.0, 3.0), speed=samples), frozenset())
        self.assertEqual(2.0, told["machine_slowdown"])
        self.assertEqual(1.061, told["machine_slowdown_run"])


class LocalSlowdownTest(unittest.TestCase):
    samples = tuple((n / 100, 0.0015 if 500 <= n < 600 else 0.001) for n in range(1000))

    def test_only_the_samples_near_the_wait_count(self) -> None:
        found = LocalSlowdown(self.samples)
        self.assertAlmostEqual(1.5, found(5.2, 5.4))
        self.assertEqual(1.0, found(2.0, 2.5))

    def test_is_bounded(self) -> None:
        stalled = [(at, took * 50 if 5 <= at < 6 else took) for at, took in self.samples]
        self.assertEqual(BUSY, LocalSlowdown(stalled)(5.2, 5.4))
        self.assertEqual(1.0, LocalSlowdown([])(5.2, 5.4))
        self.assertEqual(1.0, LocalSlowdown(self.samples)(20.0, 21.0))

    def test_a_wait_of_a_slow_instant_is_late_only_beyond_the_scaled_limit(self) -> None:
        reads = [makers.read(5.2, 0.14), makers.read(5.5, 0.16), makers.read(7.0, 0.11)]
        told = figures(makers.run(reads, speed=self.samples), frozenset({"/page/1"}))
        self.assertEqual((0.27, 0.41), (told["late_cacheable_s"], told["late_unscaled_s"]))
