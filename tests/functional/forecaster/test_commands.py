"""The commands of the operator, with a forecaster process and a real RabbitMQ."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, ClassVar

from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry.collector import Collector
from tests.functional.rpc.broker import Broker
from tests.unit.telemetry.config import conf

FORECASTER = "import sys; from nova_cachemig.cmd.start import forecaster; sys.exit(forecaster())"
MANAGE = "import sys; from nova_cachemig.cmd.start import manage; sys.exit(manage())"
UUID = "8d6b1f6e-0000-4000-8000-000000000001"
HOSTS = {"cmp1": 40.0, "cmp2": 20.0, "cmp3": 60.0}


class Commands(unittest.TestCase):
    broker: ClassVar[Broker]
    home: ClassVar[Path]
    forecaster: ClassVar[subprocess.Popen[bytes]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.broker = Broker()
        cls.broker.start()
        cls.addClassCleanup(cls.broker.close)
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.home = Path(directory.name)
        cls.measured()
        (cls.home / "cachemig.conf").write_text(
            f"[DEFAULT]\ntransport_url = {cls.broker.url}\n"
            f"[telemetry]\nsources = none\nhistory_file = {cls.home}/h.npz\n"
            "[forecaster]\ninterval = 1\nrpc_timeout = 10\n"
        )
        cls.forecaster = cls.begun()
        cls.addClassCleanup(cls.ended)

    @classmethod
    def measured(cls) -> None:
        """Three hours of three hosts, and an instance on cmp3, left by a forecaster before."""
        collector, now = Collector(conf(history_file=f"{cls.home}/h.npz"), time.time), time.time()
        for minute in range(180):
            at = now - 60.0 * minute
            samples = [Sample(host, "cpu", at, x + minute % 3) for host, x in HOSTS.items()]
            samples += [Sample(host, "cpus", at, 10.0) for host in HOSTS]
            collector.add([*samples, Sample("cmp3", "cpu", at, 150.0, UUID)], live=False)
        collector.save()

    @classmethod
    def begun(cls) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", FORECASTER, "--config-file", f"{cls.home}/cachemig.conf"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @classmethod
    def ended(cls) -> None:
        cls.forecaster.terminate()
        try:
            cls.forecaster.wait(20)
        except subprocess.TimeoutExpired:
            cls.forecaster.kill()
            cls.forecaster.wait()

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MANAGE, "--config-file", f"{self.home}/cachemig.conf"]
        return subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=60, check=False
        )

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """The table, as soon as there is a forecast."""
        deadline = time.monotonic() + 60
        while True:
            done = self.manage(*words, "-f", "json")
            if done.returncode == 0:
                found: list[dict[str, Any]] = json.loads(done.stdout)
                return found
            self.assertLess(time.monotonic(), deadline, done.stderr)

    def test_1_show(self) -> None:
        rows = {row["host"]: row for row in self.rows("forecast", "show")}
        self.assertEqual(set(HOSTS), set(rows))
        for host, load in HOSTS.items():
            self.assertAlmostEqual(load + 1, rows[host]["mean"], delta=2)
            self.assertLessEqual(rows[host]["10 %"], rows[host]["90 %"])
            self.assertLess(rows[host]["P(overload)"], 0.05)

    def test_2_explain(self) -> None:
        rows = self.rows("forecast", "explain", "cmp1")
        why = [row["value"] for row in rows if row["field"] == "why"]
        self.assertTrue(any("the expected mean load over the next 60 minutes" in w for w in why))
        weights = [row["value"] for row in rows if row["field"].startswith("weight of ")]
        self.assertAlmostEqual(1.0, sum(weights), places=2)
        unknown = self.manage("forecast", "explain", "cmp9")
        self.assertNotEqual(0, unknown.returncode)
        self.assertIn("cmp9 is unknown", unknown.stderr)
        self.assertNotIn("Traceback", unknown.stderr)

    def test_3_rank_with_a_picture(self) -> None:
        picture = self.home / "rank.png"
        rows = self.rows("rank", UUID, "--plot", str(picture))
        self.assertEqual(["cmp2", "cmp1", "cmp3"], [row["host"] for row in rows])
        self.assertEqual([1, 2, None], [row["rank"] for row in rows])
        self.assertEqual([15.0, 15.0, -15.0], [row["added"] for row in rows])
        self.assertEqual("source", rows[2]["note"])
        self.assertTrue(picture.read_bytes().startswith(b"\x89PNG"))

    def test_4_a_dead_forecaster_is_one_sentence(self) -> None:
        self.rows("forecast", "show")
        self.ended()
        done = self.manage("forecast", "show")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("no forecaster responds", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
