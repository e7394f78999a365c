"""Live migrations without a target host, in a real Nova in one process with three compute services.

Nova's API, conductor, scheduler, compute services and their ``cpu.virt_driver`` monitors come from
its wheel. The fixtures of its tests replace the hypervisor, Neutron, Glance, Cinder and Placement,
and the bus is oslo.messaging's fake. The load of the hosts alternates hourly. The monitors read the
schedule's clock, so that a day passes in seconds. Everything between monitor and weigher is real:
notification, collector, history, forecaster, fanout, snapshot. :mod:`.test_nova` runs this module.
"""

from __future__ import annotations

import nova.tests.functional  # the first of all: it patches for eventlet, or forbids it

# isort: split

import datetime
import sys
import time
import types
from pathlib import Path
from typing import Any
from unittest import mock

import fixtures
import nova.conf
from nova import context
from nova.compute.monitors.cpu import virt_driver
from nova.tests import fixtures as nova_fixtures
from nova.tests.functional import integrated_helpers
from oslo_config import cfg
from oslo_messaging.notify import notifier as oslo_notifier

from nova_cachemig.conf import scheduler as scheduler_options
from nova_cachemig.forecaster import service
from nova_cachemig.forecaster.daemon import Daemon
from nova_cachemig.forecaster.endpoint import Endpoint
from nova_cachemig.model.snapshot import HostLoad, Snapshot
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.snapshots import SchedulersClient
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.holder import DAMAGED

CONF = nova.conf.CONF
NOTIFICATIONS = "oslo_messaging_notifications"
NOVAS = "nova.scheduler.weights.all_weighers"
OURS = "nova_cachemig.scheduler.weights.PredictedLoadWeigher"
FILTER = "nova_cachemig.scheduler.filters.PredictedOverloadFilter"

STEP = 300.0
PATIENCE = 120.0
HOUR = 3600.0
DAY = 86400.0
BUSY, IDLE, MIDDLING = 70.0, 10.0, 40.0
SOURCE, IDLE_NOW, BUSY_NOW = "host-src", "host-idle-now", "host-busy-now"
HOSTS = (SOURCE, IDLE_NOW, BUSY_NOW)


class NoNotificationFixture(fixtures.Fixture):
    """Replaces Nova's fixture, which would install a fake notifier."""

    def __init__(self, test: Any) -> None:
        self.test = test


class Schedule:
    """Loads that alternate hourly, and the CPU times (ns) that they add up to on 8 CPUs."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.now = end - DAY
        self._times = {host: {"busy": 1e15, "idle": 1e15} for host in HOSTS}

    def load(self, host: str, at: float) -> float:
        """Per cent. In the hour before ``end`` one is idle, the other busy; then they swap."""
        if host == SOURCE:
            return MIDDLING
        hours_ago = int((self.end - at) // HOUR)
        return IDLE if (hours_ago % 2 == 0) == (host == IDLE_NOW) else BUSY

    def advance(self) -> None:
        """One step."""
        for host, times in self._times.items():
            busy = self.load(host, self.now + 1.0) / 100.0
            times["busy"] += STEP * 8e9 * busy
            times["idle"] += STEP * 8e9 * (1.0 - busy)
        self.now += STEP

    def stats(self, driver: Any) -> dict[str, int]:
        """Replace the CPU times of the fake hypervisor, which never change."""
        times = self._times[driver._host]
        return {
            "user": int(times["busy"] * 0.8),
            "kernel": int(times["busy"] * 0.2),
            "iowait": 0,
            "idle": int(times["idle"]),
            "frequency": 2000,
        }

    def utcnow(self) -> datetime.datetime:
        """Return the time for the monitor."""
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC).replace(tzinfo=None)


class Scenarios(integrated_helpers.ProviderUsageBaseTestCase):
    """A server on the source, asked to move to wherever the scheduler says."""

    compute_driver = "fake.MediumFakeDriver"
    weighers = (NOVAS, OURS)
    filters: tuple[str, ...] = ()

    def setUp(self) -> None:
        CONF.register_opts(oslo_notifier._notifier_opts, group=NOTIFICATIONS)
        scheduler_options.register(CONF)
        self._override("driver", ["cachemig"], NOTIFICATIONS)
        self._override("api_paste_config", str(_paste_file()), "wsgi")
        self._override("weight_classes", list(self.weighers), "filter_scheduler")
        if self.filters:
            available = ["nova.scheduler.filters.all_filters", *self.filters]
            enabled = [name.rpartition(".")[2] for name in self.filters]
            self._override("available_filters", available, "filter_scheduler")
            self._override("enabled_filters", enabled, "filter_scheduler")
        # Nova's own reaction to load: the host that is idle at its newest look.
        self._override("weight_setting", ["cpu.percent=-1.0"], "metrics")
        self._override("required", False, "metrics")
        self._override("compute_monitors", ["cpu.virt_driver"], None)
        self._override("request_interval", 0.2, "cachemig_scheduler")
        self.schedule = Schedule(time.time())
        self.useFixture(
            fixtures.MockPatch("nova.virt.fake.FakeDriver.get_host_cpu_stats", self._stats())
        )
        clock = types.SimpleNamespace(utcnow=self.schedule.utcnow)
        self.useFixture(fixtures.MockPatchObject(virt_driver, "timeutils", clock))
        with mock.patch.object(nova_fixtures, "NotificationFixture", NoNotificationFixture):
            super().setUp()
        self.addCleanup(consumer.forget, CONF)  # before Nova's fixtures look who still listens
        for host in HOSTS:
            self._start_compute(host)
        self.server = self._create_server(host=SOURCE, networks="none")

    def forecaster(self) -> Daemon:
        """Return a forecaster that receives the notifications; its clock is the schedule's."""
        conf = cfg.ConfigOpts()
        service.register(conf)
        conf([])
        directory = self.useFixture(fixtures.TempDir()).path
        for name, value in {
            "history_file": f"{directory}/history.npz",
            "resolution": int(STEP),
            "known_hosts": list(HOSTS),
        }.items():
            conf.set_override(name, value, group="telemetry")
        conf.set_override("transport_url", "fake:/", group="forecaster")
        daemon = Daemon(conf, clock=lambda: self.schedule.now)
        source = daemon.sources["nova"]
        daemon.start()
        self.addCleanup(source.stop)
        deadline = time.monotonic() + PATIENCE
        while source.problems():  # a separate thread begins to listen; a fanout does not wait
            self.assertLess(time.monotonic(), deadline, source.problems())
            time.sleep(0.01)
        return daemon

    def live_a_day(self, daemon: Daemon) -> None:
        """Monitors measure and notify, step by step; the forecaster hears each before the next."""
        admin = context.get_admin_context()
        heard = 0
        while self.schedule.now < self.schedule.end - 1.0:
            self.schedule.advance()
            for compute in self.computes.values():
                compute.manager.rt._get_host_metrics(admin, compute.host)
                heard += 1
            self.assertTrue(daemon.collector.wait_for(heard, 30), daemon.collector.counts())
        for compute in self.computes.values():
            compute.manager.update_available_resource(admin)

    def report_newest_load(self) -> None:
        """Report the newest load, which is all that Nova itself reads, and make no forecast."""
        admin = context.get_admin_context()
        self.schedule.now = self.schedule.end - 2 * STEP
        self.schedule.advance()
        for compute in self.computes.values():
            compute.manager.rt._get_host_metrics(admin, compute.host)
        self.schedule.advance()
        for compute in self.computes.values():
            compute.manager.update_available_resource(admin)

    def migrate(self) -> str:
        """Ask for a live migration without a host; where it went."""
        body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        self.api.post_server_action(self.server["id"], body)
        deadline = time.monotonic() + PATIENCE  # Nova's own helper has 10 s: a busy machine's less
        while True:
            migrations = self.api.api_get("/os-migrations").body["migrations"]
            server = self.api.get_server(self.server["id"])
            if migrations and migrations[0]["status"] == "completed":
                if server["status"] == "ACTIVE":
                    return str(server["OS-EXT-SRV-ATTR:host"])
            elif migrations and migrations[0]["status"] in {"error", "failed"}:
                self.fail(f"the migration ended in {migrations[0]}")
            self.assertLess(time.monotonic(), deadline, migrations)
            time.sleep(0.1)  # Nova offers nothing to wait on

    def snapshots(self) -> consumer.Consumer:
        """Start the scheduler's listener, in this process, before the first request."""
        listener = consumer.shared(CONF)
        listener.ensure()
        return listener

    def _stats(self) -> Any:
        schedule = self.schedule

        def stats(driver: Any) -> dict[str, int]:  # a function: it becomes a method
            return schedule.stats(driver)

        return stats

    def _override(self, name: str, value: Any, group: str | None) -> None:
        CONF.set_override(name, value, group=group)
        self.addCleanup(CONF.clear_override, name, group=group)


class ByForecast(Scenarios):
    def test_it_goes_to_the_host_that_will_be_idle(self) -> None:
        daemon = self.forecaster()
        listener = self.snapshots()
        self.live_a_day(daemon)
        made = daemon.step()
        assert made is not None
        self.assertEqual(set(HOSTS), set(made.snapshot.hosts), daemon.collector.counts())
        self.assertTrue(listener.holder.wait_for(lambda held: len(held.hosts) == 3, 20))
        now = daemon.collector.latest("cpu", self.schedule.now)
        self.assertLess(now[IDLE_NOW] + 30.0, now[BUSY_NOW])
        forecast = {host: load.mean for host, load in made.snapshot.hosts.items()}
        self.assertLess(forecast[BUSY_NOW] + 30.0, forecast[IDLE_NOW])
        self.assertEqual(BUSY_NOW, self.migrate())
        counts = daemon.collector.counts()
        self.assertGreater(counts["taken"], 3 * 280)
        self.assertNotIn("duplicate", counts)  # Nova sends two forms; the driver reports one

    def test_a_scheduler_that_begins_late_gets_the_snapshot_at_once(self) -> None:
        daemon = self.forecaster()
        self.live_a_day(daemon)
        self.assertIsNotNone(daemon.step())
        server = contract.server(
            CONF, CONF.cachemig_scheduler.forecaster_topic, "cache1", "fake:/", Endpoint(daemon)
        )
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(10))
        consumer.forget(CONF)  # as if it had heard nothing
        for weigher in self.scheduler_service.manager.host_manager.weighers:
            if hasattr(weigher, "_consumer"):
                weigher._consumer = consumer.shared(CONF)
        listener = self.snapshots()
        self.assertTrue(listener.holder.wait_for(lambda held: len(held.hosts) == 3, 20))
        self.assertEqual(BUSY_NOW, self.migrate())


class WithoutWeigher(Scenarios):
    weighers = (NOVAS,)

    def test_it_goes_to_the_host_that_is_idle_now(self) -> None:
        self.report_newest_load()
        self.assertEqual(IDLE_NOW, self.migrate())


class AsPlainNova(Scenarios):
    """The weigher has no snapshot, or a damaged one: Nova chooses as without it."""

    def send_damaged(self, wire: Any) -> None:
        """Send something by fanout and wait until the scheduler has rejected it."""
        listener = self.snapshots()
        assert listener._server is not None
        self.assertTrue(listener._server.wait_listening(10))
        client = SchedulersClient(CONF, CONF.cachemig_scheduler.topic, "fake:/", Faults(), 60.0)
        client.send(wire)
        deadline = time.monotonic() + 10
        while not any(DAMAGED in cause for cause in listener.faults.counts()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)  # the rejection is silent: poll the counts
        client.stop()

    def plain(self) -> None:
        self.report_newest_load()
        self.assertEqual(IDLE_NOW, self.migrate())

    def wire(self) -> dict[str, Any]:
        """A snapshot that would choose the other host."""
        hosts = {host: HostLoad(1.0 if host == BUSY_NOW else 99.0, (99.0,)) for host in HOSTS}
        return Snapshot("run", 1, time.time(), HOUR, "cpu", "m", (0.5,), hosts).to_wire()

    def test_the_forecaster_is_dead(self) -> None:
        self.plain()

    def test_the_snapshot_is_of_another_version(self) -> None:
        self.send_damaged(self.wire() | {"version": 2})
        self.plain()

    def test_the_snapshot_holds_no_numbers(self) -> None:
        self.send_damaged(self.wire() | {"mean": [float("nan"), -1, 3]})
        self.plain()

    def test_the_snapshot_is_stale(self) -> None:
        listener = self.snapshots()
        listener.holder.put(self.wire())
        self.assertIsNotNone(listener.holder.fresh(60.0))
        self._override("max_age", 1.0, "cachemig_scheduler")
        listener.holder._clock = lambda: time.monotonic() + 2.0
        self.plain()


class WithoutBus(Scenarios):
    """The bus of the snapshots is down; Nova's works."""

    def setUp(self) -> None:
        scheduler_options.register(CONF)
        self._override("transport_url", "rabbit://guest:guest@127.0.0.1:1/", "cachemig_scheduler")
        super().setUp()

    def test_as_plain_nova(self) -> None:
        self.snapshots()
        self.report_newest_load()
        self.assertEqual(IDLE_NOW, self.migrate())


class ByFilter(Scenarios):
    weighers = (NOVAS,)
    filters = (FILTER,)

    def held(self, overloaded: tuple[str, ...]) -> None:
        peaks = {host: (95.0, 99.0) if host in overloaded else (5.0, 9.0) for host in HOSTS}
        hosts = {host: HostLoad(peak[0], peak) for host, peak in peaks.items()}
        wire = Snapshot("run", 1, time.time(), HOUR, "cpu", "m", (0.5, 0.9), hosts).to_wire()
        self.snapshots().holder.put(wire)

    def test_it_refuses_the_host_that_will_be_overloaded(self) -> None:
        self.report_newest_load()
        self.held((IDLE_NOW,))
        self.assertEqual(BUSY_NOW, self.migrate())

    def test_it_does_not_refuse_every_host(self) -> None:
        self.report_newest_load()
        self.held(HOSTS)
        self.assertEqual(IDLE_NOW, self.migrate())

    def test_new_instances_are_not_its_business(self) -> None:
        self._override("filter_may_refuse_all", True, "cachemig_scheduler")
        self.held(HOSTS)
        self.assertEqual("ACTIVE", self._create_server(networks="none")["status"])


def _paste_file() -> Path:
    """Nova's wheel puts it under the prefix, where no option of Nova's looks for it."""
    return Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"
