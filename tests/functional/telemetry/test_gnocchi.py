"""A real Gnocchi with Ceilometer's resources: samples, an outage, all steps to a snapshot."""

from __future__ import annotations

import tempfile
import time
import unittest
from typing import Any

from keystoneauth1 import loading

from nova_cachemig.doctor import telemetry
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status
from nova_cachemig.forecaster.daemon import Daemon
from nova_cachemig.telemetry.gnocchi import GnocchiSource
from nova_cachemig.telemetry.source import SourceError
from tests.functional.telemetry.gnocchi import GRANULARITY, USER, Gnocchi
from tests.unit.telemetry.config import conf

UUID = "8d6b1f6e-0000-4000-8000-000000000001"
GONE = "8d6b1f6e-0000-4000-8000-000000000002"
PERIODS = 12
CPU = "compute.node.cpu.percent"
INSTANCE = "cpu = (/ (aggregate mean (metric cpu rate:mean)) 3000000000)"
NANOSECONDS = 1e9


class RealServer(unittest.TestCase):
    server: Gnocchi
    hosts: dict[str, str]
    begin: float

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Gnocchi()
        cls.addClassCleanup(cls.server.close)
        cls.server.create()
        cls.begin = time.time() // GRANULARITY * GRANULARITY - PERIODS * GRANULARITY
        cls.hosts = {}
        for host, load in (("cmp1", 30.0), ("cmp2.example.org", 70.0)):
            names = {"id": f"{host}_{host}", "host_name": f"compute.{host}"}
            cls.hosts[host] = cls.server.resource("nova_compute", names, CPU)
            cls.server.measure(cls.hosts[host], cls.times(load - 5, load + 5))
        for uuid in (UUID, GONE):
            metric = cls.server.resource("instance", {"id": uuid, "host": "cmp1"}, "cpu")
            used = 0.9 * GRANULARITY * NANOSECONDS  # of one CPU, in each period
            times = (cls.begin + period * GRANULARITY + 10 for period in range(PERIODS))
            cls.server.measure(metric, {at: used * n for n, at in enumerate(times)})
        cls.server.end("instance", GONE)

    @classmethod
    def times(cls, *values: float) -> dict[float, float]:
        """These values within each period."""
        return {
            cls.begin + period * GRANULARITY + 60.0 * minute: value
            for period in range(PERIODS)
            for minute, value in enumerate(values)
        }

    def options(self, **gnocchi: Any) -> Any:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        made = conf(
            sources=["gnocchi"],
            history_file=f"{directory}/history.npz",
            forecaster={"transport_url": "fake:/", "topic": self.id()},
        )
        account = {"auth_type": "http_basic", "username": USER, "password": "x"}
        account["endpoint_override"] = self.server.url
        made.register_opts(loading.get_auth_plugin_conf_options("http_basic"), group="gnocchi")
        for name, value in (account | {"instance_query": [INSTANCE]} | gnocchi).items():
            made.set_override(name, value, group="gnocchi")
        return made

    def daemon(self, **gnocchi: Any) -> Daemon:
        daemon = Daemon(self.options(**gnocchi))
        daemon.start()
        self.addCleanup(daemon.sources["gnocchi"].stop)
        return daemon

    def failure(self, **gnocchi: Any) -> str:
        source = GnocchiSource(self.options(**gnocchi))
        self.addCleanup(source.stop)
        with self.assertRaises(SourceError) as caught:
            source.check(time.time())
        return str(caught.exception)

    def test_from_measures_to_a_snapshot(self) -> None:
        daemon = self.daemon()
        daemon.poll("gnocchi")
        self.assertEqual({}, daemon.faults.counts())
        made = daemon.forecast()
        assert made is not None
        self.assertEqual({"cmp1", "cmp2.example.org"}, set(made.snapshot.hosts))
        self.assertAlmostEqual(30.0, made.snapshot.hosts["cmp1"].mean, delta=1.0)
        self.assertAlmostEqual(70.0, made.snapshot.hosts["cmp2.example.org"].mean, delta=1.0)
        self.assertEqual({UUID}, set(made.snapshot.instances))
        self.assertAlmostEqual(90.0, made.snapshot.instances[UUID], delta=0.5)
        self.assertEqual("cmp1", daemon.collector.host_of(UUID))
        # The first measure of an instance has no rate.
        self.assertEqual({"taken": 3 * PERIODS - 1}, daemon.collector.counts())
        daemon.poll("gnocchi")
        self.assertEqual({"taken": 3 * PERIODS - 1}, daemon.collector.counts(), "nothing twice")

    def test_an_outage_is_survived_and_filled(self) -> None:
        daemon = self.daemon()
        self.server.stop()
        daemon.poll("gnocchi")
        self.assertEqual(1, daemon.faults.counts()["source gnocchi cannot be read"])
        self.server.start()
        daemon.poll("gnocchi")
        latest = daemon.collector.latest("cpu", daemon.clock())
        self.assertEqual({"cmp1", "cmp2.example.org"}, set(latest))

    def test_the_words_of_gnocchi(self) -> None:
        mean = "(aggregate mean (metric {} {}))"
        for options, words in (
            ({"host_query": [f"cpu = {mean.format('other', 'mean')}"]}, "404 Not Found: Metric "),
            ({"host_query": [f"cpu = {mean.format(CPU, 'max')}"]}, "unknown aggregation"),
            ({"host_query": ["cpu = (aggregate mean"]}, "Invalid operations"),
            ({"host_resource_type": "none"}, "Resource type does not exist"),
            ({"granularity": 60}, "Granularities are missing"),
            ({"auth_type": "none"}, "401 Unauthorized"),
        ):
            with self.subTest(options):
                self.assertIn(words, self.failure(**options))

    def test_the_doctor_queries_it_too(self) -> None:
        for options, status in (({}, Status.OK), ({"auth_type": "none"}, Status.FAILED)):
            context = Context(self.options(**options), None)
            checks = {check.name: check for check in telemetry.checks(context)}
            [verdict] = checks["telemetry.gnocchi"].run()
            self.assertEqual(status, verdict.status, verdict.what)


if __name__ == "__main__":
    unittest.main()
