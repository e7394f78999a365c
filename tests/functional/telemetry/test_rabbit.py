"""A real RabbitMQ: samples reach every forecaster, snapshots reach every scheduler.

The broker stops and starts again; forecaster and scheduler recover without help.
"""

from __future__ import annotations

import tempfile
import time
import unittest
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_messaging import transport as oslo_transport
from oslo_messaging._drivers import amqp, impl_rabbit

from nova_cachemig.conf import scheduler as scheduler_options
from nova_cachemig.forecaster.daemon import Daemon
from nova_cachemig.forecaster.endpoint import Endpoint
from nova_cachemig.model.reading import Reading
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.samples import SamplesClient
from nova_cachemig.scheduler.consumer import Consumer
from tests.functional.rpc.broker import Broker
from tests.unit.telemetry.config import conf

broker = Broker.__new__(Broker)  # setUpModule initializes it


def setUpModule() -> None:
    broker.__init__()  # type: ignore[misc]
    broker.start()


def tearDownModule() -> None:
    broker.close()


NOVA_FLAGS = {"rabbit_quorum_queue": True, "amqp_durable_queues": True}
"""What deployment tools set in nova.conf: Nova's exchange is then durable."""


def nova_conf() -> cfg.ConfigOpts:
    """As much of nova.conf as the bus needs."""
    made = cfg.ConfigOpts()
    made([], default_config_files=[], default_config_dirs=[])
    made.register_opts(oslo_transport._transport_opts)
    for options in (impl_rabbit.rabbit_opts, amqp.amqp_opts):
        made.register_opts(options, group="oslo_messaging_rabbit")
    for name, value in NOVA_FLAGS.items():
        made.set_override(name, value, group="oslo_messaging_rabbit")
    made.set_override("control_exchange", "nova")
    return made


class Conductor:
    """An RPC server as nova-conductor starts it: it declares Nova's own exchange."""

    def ping(self, ctxt: Any) -> str:
        return "pong"

    def start(self) -> oslo_messaging.RPCServer:
        transport = oslo_messaging.get_rpc_transport(nova_conf(), url=broker.url)
        target = oslo_messaging.Target(topic="conductor", server="control")
        server = oslo_messaging.get_rpc_server(transport, target, [self], executor="threading")
        server.start()
        return server


def of_nova() -> dict[str, list[list[str]]]:
    """Return the objects in RabbitMQ that nova-cachemig did not create."""
    columns = {
        "exchanges": ("name", "type", "durable", "auto_delete", "arguments"),
        "queues": ("name", "durable", "auto_delete", "arguments"),
        "bindings": ("source_name", "destination_name", "routing_key"),
    }
    return {
        what: sorted(
            row
            for row in broker.ctl(f"list_{what}", *names)
            if not any(field.startswith(("nova-cachemig", "own-")) for field in row[:2])
        )
        for what, names in columns.items()
    }


class Samples(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.topic = f"own-{self._testMethodName}"

    def daemon(self, name: str) -> Daemon:
        made = conf(
            sources=["nova"],
            history_file=f"{self.directory}/{name}.npz",
            topic=self.topic,
            forecaster={"transport_url": broker.url, "topic": name, "host": name},
        )
        daemon = Daemon(made)
        daemon.start()
        self.addCleanup(daemon.sources["nova"].stop)
        deadline = time.monotonic() + 30
        while daemon.problems():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)  # the server of a source offers nothing to wait on
        return daemon

    def computes(self) -> SamplesClient:
        client = SamplesClient(nova_conf(), self.topic, broker.url, Faults())
        self.addCleanup(client.close)
        return client

    def heard(self, daemon: Daemon, expected: dict[str, float]) -> None:
        deadline = time.monotonic() + 20
        while daemon.collector.latest("cpu", time.time()) != expected:
            self.assertLess(time.monotonic(), deadline, daemon.collector.counts())
            daemon.collector.wait_for(10**6, 0.1)

    def test_every_forecaster_receives_every_host(self) -> None:
        first, second = self.daemon("own-f1"), self.daemon("own-f2")
        client = self.computes()
        for number in range(20):
            cast = Reading(f"cmp{number}", time.time(), float(number))
            client.report(cast)
            first.collector.wait_for(number + 1, 10)  # a queue of casts keeps only the newest few
        for daemon in (first, second):
            self.heard(daemon, {f"cmp{n}": float(n) for n in range(20)})
            self.assertNotIn("malformed", daemon.collector.counts())

    def test_nothing_of_novas_changes_whoever_is_first(self) -> None:
        daemon = self.daemon("own-first")  # on a broker that Nova has never used
        conductor = Conductor().start()  # raises if the exchange has other flags
        self.addCleanup(conductor.wait)
        self.addCleanup(conductor.stop)
        before = of_nova()
        self.assertIn(["nova", "topic", "true", "false", "[]"], before["exchanges"])
        self.computes().report(Reading("cmp1", time.time(), 5.0))
        self.heard(daemon, {"cmp1": 5.0})
        self.daemon("own-second")
        self.assertEqual(before, of_nova())


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
        listener = self.consumer()
        listener.ensure()
        # a late joiner: there has been no fanout since it began
        self.assertTrue(listener.holder.wait_for(lambda held: held.sequence == 1, 20))
        daemon.forecast()
        self.assertTrue(listener.holder.wait_for(lambda held: held.sequence == 2, 20))
        broker.stop()
        began = time.monotonic()
        for _ in range(3):
            self.assertIsNotNone(daemon.forecast())
        self.assertLess(time.monotonic() - began, 2.0, "forecasting waited for the bus")
        self.assertIsNotNone(listener.holder.fresh(300.0))
        broker.start()
        deadline = time.monotonic() + 60
        while not listener.holder.wait_for(lambda held: held.sequence > 5, 1.0):
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
        listener = Consumer(made)
        self.addCleanup(listener.stop)
        return listener
