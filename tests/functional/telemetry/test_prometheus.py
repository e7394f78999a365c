"""A real Prometheus server: samples, an outage, all steps to a snapshot."""

from __future__ import annotations

import tempfile
import time
import unittest
from typing import Any

from nova_cachemig.forecaster.daemon import Daemon
from tests.functional.telemetry.server import Exporter, Prometheus
from tests.unit.telemetry.config import conf

UUID = "8d6b1f6e-0000-4000-8000-000000000001"
# "offset": only where the window is full. A series that has just begun has a rate that still rises.
IDLE = 'node_cpu_seconds_total{mode="idle"}'
HOST_LOAD = f"100 * (1 - avg by (host) (rate({IDLE}[2s]) and {IDLE} offset 2s))"
HOST = f"cpu = clamp_min({HOST_LOAD}, 0)"
CPUS = 'cpus = count by (host) (node_cpu_seconds_total{mode="idle"})'
USED = "domain_cpu_seconds_total"
INSTANCE = f"cpu = 100 * sum by (host, instance_id) (rate({USED}[2s]) and {USED} offset 2s)"

KEEP = 3600
"""Seconds, the least. A new forecaster asks for all of it: by default in thousands of queries."""


class RealServer(unittest.TestCase):
    def setUp(self) -> None:
        self.exporters = [Exporter("cmp1", 30.0, 4, {UUID: 90.0}), Exporter("cmp2", 70.0, 2, {})]
        for exporter in self.exporters:
            self.addCleanup(exporter.close)
        self.server = Prometheus(self.exporters)
        self.addCleanup(self.server.close)
        self.server.start()
        self.server.wait_series("rate(domain_cpu_seconds_total[2s])", 1)
        self.server.wait_series("rate(node_cpu_seconds_total{mode='idle'}[2s])", 6)

    def daemon(self, **options: Any) -> Daemon:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        options = {
            "sources": ["prometheus"],
            "history_file": f"{directory.name}/history.npz",
            "resolution": 1,
            "keep": KEEP,
            "prometheus_url": self.server.url,
            "prometheus_host_query": [HOST, CPUS],
            "prometheus_instance_query": [INSTANCE],
            "prometheus_host_label": "host",
            "prometheus_host_names": {"cmp2": "cmp2.example.org"},
        } | options
        fast = {"step": 1, "horizon": 60, "transport_url": "fake:/", "topic": self.id()}
        daemon = Daemon(conf(forecaster=fast, **options))
        daemon.start()
        self.addCleanup(daemon.sources["prometheus"].stop)
        return daemon

    def polled(self, daemon: Daemon, number: int) -> None:
        """Poll until so many samples were taken."""
        deadline = time.monotonic() + 90
        while daemon.collector.counts().get("taken", 0) < number:
            self.assertLess(time.monotonic(), deadline, daemon.collector.counts())
            daemon.poll("prometheus")
            time.sleep(0.2)  # time has to pass for Prometheus to have more

    def test_from_exporters_to_a_snapshot(self) -> None:
        daemon = self.daemon()
        self.polled(daemon, 25)
        made = daemon.forecast()
        assert made is not None
        hosts = made.snapshot.hosts
        self.assertEqual({"cmp1", "cmp2.example.org"}, set(hosts))
        self.assertAlmostEqual(30.0, hosts["cmp1"].mean, delta=5.0)
        self.assertAlmostEqual(70.0, hosts["cmp2.example.org"].mean, delta=5.0)
        self.assertAlmostEqual(90.0, made.snapshot.instances[UUID], delta=10.0)
        self.assertEqual("cmp1", daemon.collector.host_of(UUID))
        now = daemon.clock()
        self.assertEqual(
            {"cmp1": 4.0, "cmp2.example.org": 2.0}, daemon.collector.latest("cpus", now)
        )
        self.assertEqual({}, daemon.faults.counts())
        self.assertEqual({"taken"}, set(daemon.collector.counts()))

    def test_an_idle_host_with_an_ipv6_address_is_known(self) -> None:
        """Its load is less than zero by rounding, and by more where nothing clamps the rate."""
        idle = Exporter("[2001:db8::1]", 0.0, 4, {})
        self.addCleanup(idle.close)
        self.server.close()
        self.server = Prometheus([idle])
        self.addCleanup(self.server.close)
        self.server.start()
        self.server.wait_series("rate(node_cpu_seconds_total{mode='idle'}[2s])", 4)
        rounding = f"rounding = 0 * {HOST_LOAD} - 2.2e-14"
        below = f"below = 0 * {HOST_LOAD} - 1"
        names = {"2001:DB8:0::1": "cmp1"}
        daemon = self.daemon(
            prometheus_host_query=[HOST, rounding, below], prometheus_host_names=names
        )
        self.polled(daemon, 10)
        now = daemon.clock()
        self.assertAlmostEqual(0.0, daemon.collector.latest("cpu", now)["cmp1"], delta=5.0)
        self.assertEqual({"cmp1": 0.0}, daemon.collector.latest("rounding", now))
        self.assertEqual({}, daemon.collector.latest("below", now))
        self.assertEqual({"taken", "negative"}, set(daemon.collector.counts()))
        self.assertEqual({"cmp1"}, set(daemon.forecast().snapshot.hosts))  # type: ignore[union-attr]

    def test_an_outage_is_survived_and_filled(self) -> None:
        daemon = self.daemon()
        self.polled(daemon, 10)
        self.server.stop()
        time.sleep(1.1)  # within one step of the last poll there would be nothing to ask for
        daemon.poll("prometheus")
        self.assertEqual(1, daemon.faults.counts()["source prometheus cannot be read"])
        self.assertIsNotNone(daemon.forecast(), "what is known is still forecast")
        self.server.start()
        self.server.wait_series("rate(node_cpu_seconds_total{mode='idle'}[2s])", 6)
        self.polled(daemon, daemon.collector.counts()["taken"] + 10)

    def test_a_wrong_query_keeps_no_other(self) -> None:
        daemon = self.daemon(prometheus_host_query=["memory = wrong(", HOST])
        self.polled(daemon, 5)
        self.assertGreater(daemon.faults.counts()["source prometheus cannot be read"], 0)
        self.assertEqual(2, len(daemon.collector.latest("cpu", daemon.clock())))

    def test_a_host_that_dies_becomes_unknown(self) -> None:
        daemon = self.daemon()
        self.polled(daemon, 15)
        daemon.conf.set_override("max_silence", 3, group="forecaster")
        self.exporters[0].close()
        self.exporters[0].close = lambda: None  # type: ignore[method-assign]
        deadline = time.monotonic() + 90
        while True:
            daemon.poll("prometheus")
            made = daemon.forecast()
            assert made is not None
            if set(made.snapshot.hosts) == {"cmp2.example.org"}:
                break
            self.assertLess(time.monotonic(), deadline, made.snapshot.hosts)
            time.sleep(0.3)  # it takes Prometheus a while to call it stale
