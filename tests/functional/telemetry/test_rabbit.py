"""Over a real RabbitMQ: the listener pool takes nobody's messages, snapshots reach every ear.

The broker goes away and comes back; forecaster and scheduler go on by themselves.
"""

from __future__ import annotations

import tempfile
import threading
import time
import unittest
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_messaging import transport as oslo_transport

from nova_cachemig.conf import scheduler as scheduler_options
from nova_cachemig.forecaster.daemon import Daemon
from nova_cachemig.forecaster.endpoint import Endpoint
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.scheduler.consumer import Consumer
from tests.functional.rpc.broker import Broker
from tests.unit.telemetry.config import conf
from tests.unit.telemetry.test_nova import unversioned, versioned

broker = Broker.__new__(Broker)  # made when the module is set up: it may have to be skipped


def setUpModule() -> None:
    broker.__init__()  # type: ignore[misc]
    broker.start()


def tearDownModule() -> None:
    broker.close()


class Nova:
    """What nova-compute does to send notifications, of both formats."""

    def __init__(self) -> None:
        made = cfg.ConfigOpts()
        made([], default_config_files=[], default_config_dirs=[])
        made.register_opts(oslo_transport._transport_opts)
        made.set_override("control_exchange", "nova")  # as nova's own configuration does
        transport = oslo_messaging.get_notification_transport(made, url=broker.url)
        self._notifiers = [
            oslo_messaging.Notifier(transport, driver="messagingv2", topics=[topic])
            for topic in ("notifications", "versioned_notifications")
        ]

    def measured(self, host: str, percent: int) -> None:
        """One look at a host's resources."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        old, new = self._notifiers
        payload = unversioned(host, f"{at}.5", percent / 100)
        old.prepare(publisher_id=f"compute.{host}").info({}, "compute.metrics.update", payload)
        new.prepare(publisher_id=f"nova-compute:{host}").info(
            {}, "metrics.update", versioned(host, f"{at}Z", percent)
        )

    def created(self) -> None:
        """Something that is not ours to read."""
        self._notifiers[0].prepare(publisher_id="compute.x").info({}, "compute.instance.x", {})


class Another:
    """Somebody else's listener, without a pool: Ceilometer, say."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._changed = threading.Condition()

    def info(self, ctxt: Any, publisher: str, event: str, payload: Any, metadata: Any) -> None:
        with self._changed:
            self.heard.append(event)
            self._changed.notify_all()

    def wait(self, number: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.heard) >= number, 20)


class Pool(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def daemon(self, pool: str) -> Daemon:
        made = conf(
            sources=["nova"],
            history_file=f"{self.directory}/history.npz",
            notification_transport_url=broker.url,
            notification_pool=pool,
            forecaster={"transport_url": broker.url, "topic": pool, "scheduler_topic": f"{pool}s"},
        )
        daemon = Daemon(made)
        daemon.start()
        self.addCleanup(daemon.sources["nova"].stop)
        return daemon

    def heard(self, daemon: Daemon, nova: Nova) -> None:
        """Send until the first is heard: from then on the pool's queue is bound."""
        deadline = time.monotonic() + 30
        while not daemon.collector.wait_for(1, 0.3):
            self.assertLess(time.monotonic(), deadline)
            nova.measured("warm-up", 1)

    def test_everybody_gets_every_message_and_ours_only_metrics(self) -> None:
        another, made = Another(), cfg.ConfigOpts()
        made([], default_config_files=[], default_config_dirs=[])
        targets = [
            oslo_messaging.Target(exchange="nova", topic=topic)
            for topic in ("notifications", "versioned_notifications")
        ]
        transport = oslo_messaging.get_notification_transport(made, url=broker.url)
        server = oslo_messaging.get_notification_listener(
            transport, targets, [another], executor="threading"
        )
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        nova, first, second = Nova(), self.daemon("pool-1"), self.daemon("pool-2")
        self.heard(first, nova)
        self.heard(second, nova)
        before = len(another.heard)
        for number in range(20):
            nova.measured(f"cmp{number}", number)
            nova.created()
        self.assertTrue(another.wait(before + 60), len(another.heard) - before)
        for daemon in (first, second):
            deadline = time.monotonic() + 20
            while len(daemon.collector.latest("cpu", time.time())) < 21:
                self.assertLess(time.monotonic(), deadline, daemon.collector.counts())
                daemon.collector.wait_for(10**6, 0.1)
            found = daemon.collector.latest("cpu", time.time())
            del found["warm-up"]
            self.assertEqual({f"cmp{n}": float(n) for n in range(20)}, found)
            self.assertNotIn("malformed", daemon.collector.counts())
            self.assertGreaterEqual(daemon.collector.counts()["duplicate"], 20)

    def test_what_was_sent_meanwhile_is_taken_after_a_restart(self) -> None:
        nova, daemon = Nova(), self.daemon("pool-3")
        self.heard(daemon, nova)
        daemon.sources["nova"].stop()
        nova.measured("meanwhile", 42)
        again = self.daemon("pool-3")
        deadline = time.monotonic() + 20
        while again.collector.latest("cpu", time.time()).get("meanwhile") != 42.0:
            self.assertLess(time.monotonic(), deadline, again.collector.counts())
            again.collector.wait_for(10**6, 0.1)


class Snapshots(unittest.TestCase):
    def test_a_broker_that_goes_and_comes_back(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        options = {
            "transport_url": broker.url,
            "topic": "f-outage",
            "scheduler_topic": "s-outage",
            "interval": 1,
        }
        daemon = Daemon(
            conf(forecaster=options, sources=["none"], history_file=f"{directory.name}/h.npz")
        )
        server = contract.server(daemon.conf, "f-outage", "f1", broker.url, Endpoint(daemon))
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(30))
        daemon.forecast()
        ear = self.consumer()
        ear.ensure()
        # a late joiner: there has been no fanout since it began
        self.assertTrue(ear.holder.wait_for(lambda held: held.sequence == 1, 20))
        daemon.forecast()
        self.assertTrue(ear.holder.wait_for(lambda held: held.sequence == 2, 20))
        broker.stop()
        began = time.monotonic()
        for _ in range(3):
            self.assertIsNotNone(daemon.forecast())
        self.assertLess(time.monotonic() - began, 2.0, "forecasting waited for the bus")
        self.assertIsNotNone(ear.holder.fresh(300.0))
        broker.start()
        deadline = time.monotonic() + 60
        while not ear.holder.wait_for(lambda held: held.sequence > 5, 1.0):
            self.assertLess(time.monotonic(), deadline, daemon.send_counts())
            daemon.forecast()

    def consumer(self) -> Consumer:
        made = cfg.ConfigOpts()
        scheduler_options.register(made)
        made([], default_config_files=[], default_config_dirs=[])
        for name, value in {
            "transport_url": broker.url,
            "topic": "s-outage",
            "forecaster_topic": "f-outage",
        }.items():
            made.set_override(name, value, group="cachemig_scheduler")
        ear = Consumer(made)
        self.addCleanup(ear.stop)
        return ear
