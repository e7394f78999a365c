"""Both sides declare the same on a real RabbitMQ, whatever their files say, and leave nothing."""

from __future__ import annotations

import logging
import threading
import time
import unittest
from typing import Any
from unittest import mock

from oslo_config import cfg
from oslo_messaging._drivers import amqp, impl_rabbit

from nova_cachemig.rpc import bus, rabbit
from nova_cachemig.rpc.client import RpcClient
from nova_cachemig.rpc.server import RpcServer
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import new_conf

KOLLA = {
    "amqp_durable_queues": True,
    "rabbit_quorum_queue": True,
    "rabbit_transient_quorum_queue": True,
    "rabbit_stream_fanout": True,
    "rabbit_qos_prefetch_count": 1,
    "use_queue_manager": True,
}
"""What Kolla-Ansible and OpenStack-Ansible set in nova.conf."""

DEADLINE = 20.0


def configured(**flags: Any) -> cfg.ConfigOpts:
    conf = new_conf()
    for options in (impl_rabbit.rabbit_opts, amqp.amqp_opts):
        conf.register_opts(options, group="oslo_messaging_rabbit")
    for name, value in flags.items():
        conf.set_override(name, value, group="oslo_messaging_rabbit")
    return conf


class Endpoint:
    def __init__(self) -> None:
        self.heard = threading.Event()

    def ask(self, ctxt: Any) -> str:
        return "response"

    def notify(self, ctxt: Any) -> None:
        self.heard.set()


class FlagsTest(unittest.TestCase):
    broker: Broker

    @classmethod
    def setUpClass(cls) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp", "nova_cachemig.rpc"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log what is provoked here
        cls.broker = Broker(strict=True)
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()

    def setUp(self) -> None:
        self.endpoint = Endpoint()
        self.topic = f"nova-cachemig-{self._testMethodName}"
        exchange = mock.patch.object(bus, "EXCHANGE", f"{self.topic}.rpc")
        exchange.start()
        self.addCleanup(exchange.stop)

    def server(self, conf: cfg.ConfigOpts) -> RpcServer:
        target = bus.target(self.topic, "1.0", "cache1")
        server = RpcServer(conf, target, [self.endpoint], url=self.broker.url)
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(DEADLINE))
        return server

    def client(self, conf: cfg.ConfigOpts) -> RpcClient:
        target = bus.target(self.topic, "1.0")
        client = RpcClient(conf, target, peer="agent", url=self.broker.url, timeout=5.0)
        self.addCleanup(client.close)
        return client

    def converse(self, client: RpcClient) -> None:
        self.assertEqual("response", client.call("ask", {}))
        for fanout in (False, True):
            self.endpoint.heard.clear()
            client.cast("notify", {}, fanout=fanout)
            self.assertTrue(self.endpoint.heard.wait(DEADLINE), f"fanout={fanout}")

    def ours(self, what: str, *columns: str) -> dict[str, list[str]]:
        rows = self.broker.ctl(f"list_{what}", "name", *columns)
        return {name: rest for name, *rest in rows if name and not name.startswith("amq.")}

    def test_sides_with_contrary_files_converse(self) -> None:
        for here, there in ((KOLLA, {}), ({}, KOLLA)):
            with self.subTest(server=here, client=there):
                server = self.server(configured(**here))
                self.converse(self.client(configured(**there)))
                self.assertTrue(server.stop())

    def test_every_queue_is_durable_and_bounded(self) -> None:
        self.server(configured())
        self.converse(self.client(configured(**KOLLA)))
        queues = self.ours("queues", "durable", "arguments")
        self.assertGreaterEqual(len(queues), 4)  # topic, topic.server, fanout, replies
        for name, (durable, arguments) in queues.items():
            with self.subTest(queue=name):
                self.assertEqual("true", durable)
                for bound, value in rabbit.BOUNDS.items():
                    self.assertIn(f'{{"{bound}",{value}}}', arguments)

    def test_nothing_is_left_and_a_client_goes_on(self) -> None:
        with mock.patch.dict(rabbit.BOUNDS, {"x-expires": 500}):
            server = self.server(configured())
            client = self.client(configured())
            self.converse(client)
            server.stop()
            deadline = time.monotonic() + DEADLINE
            while found := [n for n in self.left() if n.startswith(self.topic)]:
                self.assertLess(time.monotonic(), deadline, found)
            self.endpoint.heard.clear()
            self.server(configured())
            self.converse(client)  # it knew the exchange that is gone

    def left(self) -> list[str]:
        return [*self.ours("queues"), *self.ours("exchanges")]
