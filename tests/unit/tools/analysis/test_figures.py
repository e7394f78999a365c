from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.figures import figures, sort
from tools.measurement.analysis.quantile import quantile

NAMED = (
    *("case", "protected", "requests", "failed", "writes_acked", "writes_lost", "writes_doubled"),
    *("writes_reordered", "stale_reads_after_write", "blackout_s", "hit_p99_ms"),
    *("held_overrun_p99_ms", "inflight_read_overrun_max_ms", "inflight_write_overrun_max_ms"),
    *("late_cacheable_s", "phases"),
)


class QuantileTest(unittest.TestCase):
    def test_nearest_rank(self) -> None:
        self.assertEqual(99, quantile(range(1, 101), 0.99))
        self.assertEqual(1, quantile([1], 0.99))
        self.assertIsNone(quantile([], 0.5))

    @given(st.lists(st.integers(), min_size=1), st.floats(0.01, 1))
    def test_the_share_is_not_above_it(self, values: list[int], share: float) -> None:
        found = quantile(values, share)
        assert found is not None
        self.assertIn(found, values)
        self.assertGreaterEqual(sum(v <= found for v in values) / len(values), share - 1e-9)


class SortTest(unittest.TestCase):
    def test_every_kind(self) -> None:
        hit, held_read = makers.read(2.1, hit=True), makers.read(2.2, 1.0)
        held_write, flying = makers.write(2.9, 0.2), makers.write(1.99, 2.0)
        before, after = makers.read(1.9), makers.read(3.0)
        cached = makers.read(1.99, 0.02, hit=True)
        met = sort(
            [hit, held_read, held_write, flying, before, after, cached], [Blackout(2.0, 3.0)]
        )
        self.assertEqual((hit,), met.hits)
        self.assertEqual([held_read, held_write], [request for request, _ in met.held])
        self.assertEqual([flying], [request for request, _ in met.in_flight])
        self.assertAlmostEqual(0.2, met.held[0][1])
        self.assertEqual([], met.overruns(reads=True))
        self.assertAlmostEqual(0.99, met.overruns(reads=False)[0])

    def test_a_failed_hit_is_no_hit(self) -> None:
        met = sort([makers.read(2.1, hit=True, failed=True)], [Blackout(2.0, 3.0)])
        self.assertEqual((0, 1), (len(met.hits), len(met.held)))

    def test_each_is_measured_against_the_blackout_that_it_met(self) -> None:
        requests = [makers.read(2.5, 0.6), makers.read(6.5, 0.7)]
        met = sort(requests, [Blackout(2.0, 3.0), Blackout(6.0, 7.0)])
        self.assertEqual([0.1, 0.2], [round(over, 6) for _, over in met.held])


class FiguresTest(unittest.TestCase):
    def test_every_name_of_the_result(self) -> None:
        found = figures(makers.run(), frozenset())
        self.assertEqual(set(NAMED), set(NAMED) & set(found))
        for name in NAMED[10:14]:
            self.assertIsNone(found[name])

    def test_a_protected_run(self) -> None:
        requests = [
            makers.read(2.1, 0.004, hit=True),
            makers.read(2.2, 0.9, path="/page/9"),
            makers.write(1.99, 1.2),
            makers.read(5.0, 0.3, failed=True, status=502),
        ]
        run = makers.run(
            requests, (2.0, 3.0), protected=True, phases={"migrate": 1.0, "completed": 4.0}
        )
        found = figures(run, frozenset({"/page/1"}))
        self.assertAlmostEqual(1.0, found["blackout_s"], places=2)
        self.assertEqual(4.0, found["hit_p99_ms"])
        self.assertAlmostEqual(99, found["held_overrun_p99_ms"], delta=1)
        self.assertAlmostEqual(189, found["inflight_write_overrun_max_ms"], delta=1)
        self.assertIsNone(found["inflight_read_overrun_max_ms"])
        self.assertEqual(0.3, found["late_cacheable_s"])
        self.assertEqual(0, found["late_cacheable_during_migration_s"])
        self.assertEqual({"status 502": 1}, found["errors"])
        self.assertEqual((1, 1), (found["failed"], found["depth_max"]))

    def test_without_the_guests_log_the_figures_of_writes_are_none(self) -> None:
        found = figures(makers.run(audit=None), frozenset())
        self.assertIsNone(found["writes_lost"])
