"""Real Nova services: the weigher in the workers of nova-scheduler, and the hook in nova-compute.

They run with the Nova of this environment, and with other releases by ``tools/nova-releases``.
"""

from __future__ import annotations

import time
import unittest
from typing import Any

from oslo_config import cfg

from nova_cachemig.conf import scheduler as options
from nova_cachemig.model.snapshot import HostLoad, Snapshot
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.scheduler.consumer import REMEDY
from nova_cachemig.scheduler.holder import STALE
from tests.faults.cell import ABSENT, LISTENING, TIMEOUT, Cell
from tests.functional.scheduler.cloud import WORKERS, Scheduler

HOSTS = ("host-a", "host-b")
ARRIVED = "the first snapshot arrived"
REQUESTS = 4 * WORKERS
PATIENCE = 60.0


class OneForecast:
    """A forecaster that knows one forecast."""

    def __init__(self, loads: dict[str, float]) -> None:
        hosts = {host: HostLoad(load, (load,)) for host, load in loads.items()}
        self._wire = Snapshot("run", 1, time.time(), 3600.0, "cpu", "m", (0.5,), hosts).to_wire()

    def request_snapshot(self) -> Any:
        return self._wire


class RealServices(Cell):
    hosts = HOSTS

    def test_each_worker_gets_the_forecast_with_native_threads(self) -> None:
        self.check(eventlet=False)

    def test_each_worker_gets_the_forecast_with_eventlet(self) -> None:
        self.check(eventlet=True)

    def test_nova_compute_logs_whether_an_agent_is_listening(self) -> None:
        self.configure()
        services = self.start_nova()
        self.assertIn("start nova-cachemig-agent", services.await_line("nova-compute", ABSENT))
        self.assert_nova_serves(services)
        self.assert_migrations_wait(TIMEOUT)
        self.start_agent()
        services.await_line("nova-compute", LISTENING)
        self.assert_migrations_wait(0.5)

    def check(self, *, eventlet: bool) -> None:
        """Without a forecaster, Nova chooses as ever; with one, each worker follows it."""
        scheduler = Scheduler(self.cloud, eventlet=eventlet)
        self.addCleanup(scheduler.close)
        scheduler.await_listening()
        before = self.cloud.ask(REQUESTS)
        self.assertEqual(1, len(set(before)), before)  # the order of the records, as in Nova
        warnings = scheduler.await_lines(STALE, WORKERS)
        self.assertEqual([1] * WORKERS, [len(lines) for lines in warnings.values()], warnings)
        self.assertIn(REMEDY, str(warnings))
        self.assertEqual({}, scheduler.lines(ARRIVED))

        busy = before[0]
        self.forecast({host: 90.0 if host == busy else 10.0 for host in HOSTS})
        arrivals = scheduler.await_lines(ARRIVED, WORKERS)
        after = self.cloud.ask(REQUESTS)
        self.assertEqual({host for host in HOSTS if host != busy}, set(after))
        self.assertEqual([1] * WORKERS, [len(lines) for lines in arrivals.values()], arrivals)
        self.assertNotIn("Traceback", scheduler.text())

    def forecast(self, loads: dict[str, float]) -> None:
        """Start a forecaster; it ends with the test."""
        conf = cfg.ConfigOpts()
        options.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        topic = conf.cachemig_scheduler.forecaster_topic
        endpoint: Any = OneForecast(loads)
        server = contract.server(conf, topic, "forecaster", self.cloud.broker.url, endpoint)
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(PATIENCE))


if __name__ == "__main__":
    unittest.main()
