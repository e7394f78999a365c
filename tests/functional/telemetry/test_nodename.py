"""The documented queries for targets that are addresses, against a real Prometheus."""

from __future__ import annotations

import re
import tempfile
import time
import unittest
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.forecaster import service
from nova_cachemig.forecaster.daemon import Daemon
from tests.functional.telemetry.server import SPLIT, Exporter, Prometheus

PAGE = Path(__file__).parents[3] / "doc/source/operator/placement.rst"
UUID = "8d6b1f6e-0000-4000-8000-000000000001"
RATE = re.compile(r"rate\(([^\[\]]+)\[[25]m\]\)")


def documented() -> str:
    """Return the options of the page, with short windows, and only where these are full."""
    blocks = PAGE.read_text().split(".. code-block:: ini")
    [block] = [block for block in blocks if "prometheus_host_label = nodename" in block]
    lines = [line.strip() for line in block.splitlines() if line.startswith("   prometheus_")]
    return RATE.sub(r"(rate(\1[2s]) and \1 offset 2s)", "\n".join(lines))


class NodenameTest(unittest.TestCase):
    def daemon(self, url: str) -> Daemon:
        """A forecaster that reads the options from a file, in which "$" is special."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = Path(directory.name, "nova-cachemig.conf")
        path.write_text(
            f"[telemetry]\nsources = prometheus\nresolution = 1\nkeep = 3600\n"
            f"prometheus_url = {url}\n"
            f"history_file = {directory.name}/history.npz\n{documented()}\n"
            f"[forecaster]\nstep = 1\nhorizon = 60\ntransport_url = fake:/\ntopic = {self.id()}\n"
        )
        conf = cfg.ConfigOpts()
        service.register(conf)
        conf([], default_config_files=[str(path)], default_config_dirs=[])
        daemon = Daemon(conf)
        daemon.start()
        self.addCleanup(daemon.sources["prometheus"].stop)
        return daemon

    def test_addresses_become_the_names_of_hosts(self) -> None:
        exporters = [
            Exporter("a", 30.0, 4, {UUID: 90.0}, nodename="cmp_1", target="10.0.0.11"),
            Exporter("b", 70.0, 2, {}, nodename="cmp2.example.org", target="[2001:db8::12]"),
        ]
        for exporter in exporters:
            self.addCleanup(exporter.close)
        server = Prometheus(exporters, SPLIT)
        self.addCleanup(server.close)
        server.start()
        server.wait_series("node_cpu_seconds_total offset 3s", 12)
        daemon = self.daemon(server.url)
        deadline = time.monotonic() + 90
        while daemon.collector.counts().get("taken", 0) < 25:
            self.assertLess(time.monotonic(), deadline, daemon.collector.counts())
            daemon.poll("prometheus")
            time.sleep(0.2)  # time has to pass for Prometheus to have more
        self.assertEqual({}, daemon.faults.counts())
        self.assertEqual({"taken"}, set(daemon.collector.counts()))
        now = daemon.clock()
        self.assertEqual(
            {"cmp_1": 4.0, "cmp2.example.org": 2.0}, daemon.collector.latest("cpus", now)
        )
        load = daemon.collector.latest("cpu", now)
        self.assertAlmostEqual(30.0, load["cmp_1"], delta=5.0)
        self.assertAlmostEqual(70.0, load["cmp2.example.org"], delta=5.0)
        made = daemon.forecast()
        assert made is not None
        self.assertAlmostEqual(90.0, made.snapshot.instances[UUID], delta=10.0)
        self.assertEqual("cmp_1", daemon.collector.host_of(UUID))
