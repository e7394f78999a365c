"""Invalid samples are rejected and counted; wrong clocks are detected."""

from __future__ import annotations

import math
import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np

from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry.collector import Collector
from tests.unit.telemetry.config import conf

NOW = 1_772_366_400.0


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "history.npz"
        self.now = NOW

    def collector(self, **options: Any) -> Collector:
        return Collector(conf(history_file=str(self.path), **options), lambda: self.now)

    def give(self, collector: Collector, *samples: Sample, live: bool = False) -> dict[str, int]:
        before = collector.counts()
        collector.add(samples, live=live)
        after = collector.counts()
        return {
            key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key)
        }


def cpu(value: float, at: float = NOW, host: str = "cmp1", instance: str | None = None) -> Sample:
    return Sample(host, "cpu", at, value, instance)


class Refusing(Case):
    def test_each_is_counted_by_its_reason(self) -> None:
        collector = self.collector(known_hosts=["cmp1"])
        for sample, reason in (
            (cpu(5.0), "taken"),
            (cpu(5.0), "duplicate"),
            (cpu(math.nan), "not_finite"),
            (cpu(math.inf), "not_finite"),
            (cpu(1.0, math.nan), "not_finite"),
            (cpu(-0.1), "negative"),
            (cpu(-1e-5), "negative"),
            (cpu(-math.inf), "not_finite"),
            (cpu(1.0, -1.0), "negative"),
            (cpu(1e16), "absurd"),
            (cpu(5.0, host="other"), "unknown_host"),
            (cpu(5.0, NOW + 31), "future"),
            (cpu(5.0, NOW - 8 * 86400), "late"),
            (cpu(5.0, NOW - 86400), "taken"),
        ):
            with self.subTest(sample=sample):
                self.assertEqual({reason: 1}, self.give(collector, sample))
        self.assertEqual({"cmp1": 5.0}, collector.latest("cpu", NOW))
        collector.malformed("x")
        self.assertEqual(1, collector.counts()["malformed"])

    def test_rounding_below_zero_is_an_idle_host(self) -> None:
        collector = self.collector()
        counts = self.give(
            collector, cpu(-2.2e-14), cpu(-0.0, host="cmp2"), cpu(-1e-6, host="cmp3")
        )
        self.assertEqual({"taken": 3}, counts)
        self.assertEqual({"cmp1": 0.0, "cmp2": 0.0, "cmp3": 0.0}, collector.latest("cpu", NOW))

    def test_hosts_and_metrics_are_bounded(self) -> None:
        collector = self.collector(max_hosts=2)
        counts = self.give(collector, *(cpu(1.0, host=f"cmp{i}") for i in range(5)))
        self.assertEqual({"taken": 2, "full": 3}, counts)
        counts = self.give(collector, *(Sample("cmp0", f"m{i}", NOW, 1.0) for i in range(20)))
        self.assertEqual({"taken": 15, "full": 5}, counts)


class Clocks(Case):
    def live(self, collector: Collector, minutes: int, lag: float, jitter: float = 0.0) -> None:
        for i in range(minutes):
            self.now += 60.0
            wobble = jitter * (i % 3)
            self.give(collector, cpu(float(i), self.now - lag - wobble), live=True)

    def test_a_clock_behind_is_corrected_once_five_agree(self) -> None:
        collector = self.collector()
        self.live(collector, 10, lag=1200.0, jitter=2.0)
        self.assertEqual(6, collector.counts()["skewed"])
        self.assertEqual({"cmp1": 9.0}, collector.latest("cpu", self.now, 60.0))

    def test_a_clock_ahead_is_refused_until_then(self) -> None:
        collector = self.collector()
        self.live(collector, 10, lag=-600.0)
        self.assertEqual({"future": 4, "taken": 6, "skewed": 6}, collector.counts())
        self.assertEqual({"cmp1": 9.0}, collector.latest("cpu", self.now, 60.0))

    def test_a_backlog_is_left_where_it_was_measured(self) -> None:
        collector = self.collector()
        for i in range(30):  # half an hour of messages within a second
            self.now += 0.03
            self.give(collector, cpu(float(i), NOW - 1800.0 + 60.0 * i), live=True)
        self.assertEqual({"taken": 30}, collector.counts())
        row = collector.matrix("cpu", NOW, 60.0, 900.0).values[0]
        np.testing.assert_array_equal(np.arange(30.0), row[~np.isnan(row)])

    def test_a_right_clock_and_slow_delivery_are_no_skew(self) -> None:
        collector = self.collector()
        self.live(collector, 10, lag=20.0, jitter=4.0)
        self.assertEqual({"taken": 10}, collector.counts())


class Reading(Case):
    def test_silent_hosts_are_left_out(self) -> None:
        collector = self.collector()
        self.give(collector, cpu(1.0, NOW - 1000, "old"), cpu(2.0, NOW - 10, "new"))
        self.assertEqual(("new",), collector.matrix("cpu", NOW, 300.0, 900.0).hosts)
        self.assertEqual({"old": NOW - 1000}, collector.silent("cpu", NOW, 900.0))
        self.assertEqual((), collector.matrix("nothing", NOW, 300.0, 900.0).hosts)

    def test_instances_have_their_own_load_and_place(self) -> None:
        collector = self.collector()
        uuid = "8d6b1f6e-0000-4000-8000-000000000001"
        for i in range(12):
            self.give(collector, cpu(50.0 + i % 2, NOW - 300 * i, instance=uuid))
        self.assertAlmostEqual(50.5, collector.instances("cpu", NOW, 3600.0)[uuid], places=3)
        self.assertEqual("cmp1", collector.host_of(uuid))
        self.assertIsNone(collector.host_of("another"))
        self.assertEqual((), collector.matrix("cpu", NOW, 300.0, 900.0).hosts)

    def test_a_restart_keeps_hosts_and_instances(self) -> None:
        collector = self.collector()
        self.give(collector, cpu(5.0), cpu(7.0, instance="i1"), Sample("cmp1", "cpus", NOW, 8.0))
        collector.save()
        again = self.collector()
        again.load()
        self.assertEqual({"cmp1": 5.0}, again.latest("cpu", NOW))
        self.assertEqual({"cmp1": 8.0}, again.latest("cpus", NOW))
        self.assertEqual({"i1": 7.0}, again.instances("cpu", NOW, 3600.0))
        self.assertEqual("cmp1", again.host_of("i1"))
        self.assertEqual(NOW, again.newest_at())
        self.assertEqual({"duplicate": 1}, self.give(again, cpu(5.0)))
