"""The rounds of the forecaster: one failing step does not affect the others."""

from __future__ import annotations

import math
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from nova_cachemig.forecaster.daemon import ConfigError, Daemon, hosts
from nova_cachemig.model.load import Forecast, HostForecast, Sample
from nova_cachemig.model.snapshot import Snapshot
from nova_cachemig.telemetry.source import SampleSink, Source, SourceError
from tests.unit.telemetry.config import conf

START = 1_772_366_400.0


class Scripted(Source):
    """Gives a sample of each host a poll, or fails."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.spans: list[tuple[float, float]] = []
        self.stopped = False

    def start(self, sink: SampleSink) -> None:
        self.sink = sink

    def poll(self, since: float, now: float) -> None:
        self.spans.append((since, now))
        if self.error is not None:
            raise self.error
        samples = [Sample("cmp1", "cpu", now, 20.0), Sample("cmp2", "cpu", now, 60.0)]
        samples += [Sample("cmp1", "cpu", now, 150.0, "i1"), Sample("cmp1", "cpus", now, 16.0)]
        samples += [Sample("cmp2", "cpu", now, math.nan), Sample("cmp2", "cpu", now, -5.0)]
        self.sink.add(samples, live=False)

    def stop(self) -> None:
        self.stopped = True


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "history.npz"
        self.now = START
        self.sent: list[dict[str, Any]] = []
        self.scripted = Scripted()

    def daemon(self, **forecaster: Any) -> Daemon:
        made = conf(forecaster=forecaster, sources=["none"], history_file=str(self.path))
        daemon = Daemon(made, lambda: self.now)
        daemon.sources = {"scripted": self.scripted}
        daemon._schedulers.send = self.sent.append  # type: ignore[method-assign]
        daemon.start()
        return daemon

    def rounds(self, daemon: Daemon, number: int) -> None:
        for _ in range(number):
            self.now += 60.0
            daemon.step()


class Rounds(Case):
    def test_a_snapshot_each_round(self) -> None:
        daemon = self.daemon()
        self.rounds(daemon, 90)
        snapshot = Snapshot.from_wire(self.sent[-1])
        self.assertEqual({"cmp1", "cmp2"}, set(snapshot.hosts))
        self.assertAlmostEqual(20.0, snapshot.hosts["cmp1"].mean, delta=1.0)
        self.assertAlmostEqual(60.0, snapshot.hosts["cmp2"].mean, delta=1.0)
        self.assertEqual({"i1": 150.0}, snapshot.instances)
        self.assertEqual(list(range(1, 91)), [wire["sequence"] for wire in self.sent])
        counts = daemon.collector.counts()
        self.assertEqual((90, 90), (counts["not_finite"], counts["negative"]))

    def test_a_source_that_is_down_leaves_its_hosts_unknown_in_the_end(self) -> None:
        daemon = self.daemon(max_silence=900)
        self.rounds(daemon, 30)
        self.scripted.error = SourceError("connection refused")
        self.rounds(daemon, 10)
        self.assertEqual(["cmp1", "cmp2"], self.sent[-1]["names"])
        self.rounds(daemon, 10)
        self.assertEqual([], self.sent[-1]["names"])
        self.assertEqual(20, daemon.faults.counts()["source scripted cannot be read"])
        self.scripted.error = None
        self.rounds(daemon, 1)
        self.assertEqual(["cmp1", "cmp2"], self.sent[-1]["names"])

    def test_a_source_that_breaks_is_no_end(self) -> None:
        daemon = self.daemon()
        self.scripted.error = ZeroDivisionError("oops")
        self.rounds(daemon, 2)
        self.assertEqual(2, len(self.sent))

    def test_a_forecaster_that_breaks_sends_nothing(self) -> None:
        daemon = self.daemon()
        self.rounds(daemon, 3)
        with mock.patch.object(daemon.forecaster, "forecast", side_effect=ValueError("oops")):
            self.rounds(daemon, 2)
        self.assertEqual(3, len(self.sent))
        self.rounds(daemon, 1)
        self.assertEqual(4, len(self.sent))

    def test_after_a_restart_it_goes_on(self) -> None:
        daemon = self.daemon()
        self.rounds(daemon, 60)
        daemon.save()
        self.now += 600.0
        again = self.daemon()
        again.poll("scripted")
        self.assertEqual(self.now - 600.0, self.scripted.spans[-1][0])
        again.step()
        self.assertEqual(["cmp1", "cmp2"], self.sent[-1]["names"])
        self.assertGreater(again.latest.matrix.values.shape[1], 12)  # type: ignore[union-attr]
        self.assertNotEqual(self.sent[0]["run"], self.sent[-1]["run"])

    def test_it_is_saved_now_and_then_and_a_full_disk_is_no_end(self) -> None:
        daemon = self.daemon()
        self.rounds(daemon, 10)
        self.assertTrue(self.path.exists())
        with mock.patch(
            "nova_cachemig.telemetry.history.os.fsync", side_effect=OSError(28, "full")
        ):
            self.rounds(daemon, 10)
        self.assertEqual(1, daemon.faults.counts()["the history cannot be saved"])
        self.assertEqual(20, len(self.sent))

    def test_run_and_stop(self) -> None:
        daemon = self.daemon(interval=1)
        with mock.patch.object(daemon, "forecast", side_effect=daemon.stop) as forecast:
            daemon.run()
        forecast.assert_called_once()
        self.assertTrue(self.scripted.stopped)
        self.assertTrue(self.path.exists())


class Starting(unittest.TestCase):
    def test_one_sentence_for_what_makes_no_sense(self) -> None:
        with self.assertRaisesRegex(ConfigError, "no forecaster is named 'oracle'"):
            Daemon(conf(forecaster={"method": "oracle"}, sources=["none"]))
        with self.assertRaisesRegex(ConfigError, "no source is named 'x'"):
            Daemon(conf(sources=["x"]))


class Cleaning(unittest.TestCase):
    def test_what_is_no_number_is_not_sent(self) -> None:
        made = Forecast(
            0.0,
            60.0,
            "m",
            (0.5, 0.9),
            {
                "good": HostForecast(5.0, (1.0, 2.0), (3.0, 2.0)),
                "below": HostForecast(-5.0, (1.0, 2.0), (-1.0, 2.0)),
                "nan": HostForecast(math.nan, (1.0, 2.0), (3.0, 4.0)),
                "inf": HostForecast(1.0, (1.0, 2.0), (3.0, math.inf)),
            },
        )
        kept = hosts(made)
        self.assertEqual({"good", "below"}, set(kept))
        self.assertEqual((2.0, 3.0), kept["good"].peak)
        self.assertEqual((0.0, (0.0, 2.0)), (kept["below"].mean, kept["below"].peak))
