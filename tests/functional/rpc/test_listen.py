"""A server over a real RabbitMQ that refuses it, stops, or is reset: the server listens again."""

from __future__ import annotations

import logging
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import amqp

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc import bus, server
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import UnreachableError
from nova_cachemig.rpc.server import RpcServer
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RecordingEndpoint, new_conf

LIMIT = 60.0


class Warming(RecordingEndpoint):
    """Keeps each ``wait_warm`` until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.warming = 0
        self.gate.clear()

    def wait_warm(self, ctxt: Any, handover: HandoverId, wait: float) -> dict[str, Any]:
        with self.changed:
            self.warming += 1
        self.gate.wait(LIMIT)
        return self.warm

    def guest_event(self, ctxt: Any, event: GuestEvent) -> None:
        with self.changed:
            self.received.append(("guest_event", event))
            self.changed.notify_all()


class ListenTest(unittest.TestCase):
    def setUp(self) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        quick = mock.patch.multiple(server, BACKOFF=(0.2,), CHECK_EVERY=0.5, CHECK_TIMEOUT=2.0)
        self.enterContext(quick)
        self.broker = Broker(strict=True)
        self.addCleanup(self.broker.close)
        self.broker.start()

    def serve(self) -> RpcServer:
        served = contract.server(
            new_conf(), RecordingEndpoint(), host="cache1", topic="t", transport_url=self.broker.url
        )
        served.start()
        self.addCleanup(served.stop)
        return served

    def test_an_event_does_not_wait_behind_a_hundred_slow_warmings(self) -> None:
        endpoint = Warming()
        served = contract.server(
            new_conf(), endpoint, host="cache1", topic="t", transport_url=self.broker.url
        )
        served.start()
        self.addCleanup(served.stop)
        self.assertTrue(served.wait_listening(LIMIT))
        client = AgentClient(new_conf(), "t", transport_url=self.broker.url, rpc_timeout=LIMIT)
        self.addCleanup(client.close)
        waiting = [
            threading.Thread(target=client.wait_warm, args=({}, f"u{n}", "r", 2.0), daemon=True)
            for n in range(100)
        ]
        for thread in waiting:
            thread.start()
        self.addCleanup(endpoint.gate.set)
        self.until(lambda: endpoint.warming == 100)
        client.guest_event({}, GuestEvent("u1", EventKind.PAUSED, time.time(), "compute1"))
        self.assertTrue(endpoint.await_that(lambda: bool(endpoint.received), LIMIT))
        self.assertEqual(100, endpoint.warming)
        endpoint.gate.set()
        for thread in waiting:
            thread.join(LIMIT)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)  # the state of another process, without a notification

    def channel(self) -> amqp.Channel:
        connection = amqp.Connection(f"127.0.0.1:{self.broker.port}")
        connection.connect()
        self.addCleanup(connection.close)
        return connection.channel()

    def ping(self) -> bool:
        client = AgentClient(new_conf(), "t", transport_url=self.broker.url, rpc_timeout=5.0)
        try:
            return bool(client.ping({}))
        except UnreachableError:
            return False
        finally:
            client.close()

    def test_an_exchange_with_other_flags_is_waited_out(self) -> None:
        channel = self.channel()
        channel.exchange_declare(bus.EXCHANGE, "topic", durable=True, auto_delete=False)
        with self.assertLogs("nova_cachemig.rpc", "WARNING") as logged:
            served = self.serve()
            self.until(lambda: sum(served.faults.counts().values()) >= 3)
        self.assertFalse(served.listening)
        [line] = logged.output
        self.assertIn("exists with other flags", line)
        channel.exchange_delete(bus.EXCHANGE)
        self.assertTrue(served.wait_listening(LIMIT))
        self.assertTrue(self.ping())

    def test_it_listens_anew_after_its_binding_or_exchange_is_deleted(self) -> None:
        served = self.serve()
        self.assertTrue(served.wait_listening(LIMIT))
        for name, delete in (
            ("binding", lambda channel: channel.queue_unbind("t", bus.EXCHANGE, "t")),
            ("exchange", lambda channel: channel.exchange_delete(bus.EXCHANGE)),
        ):
            with self.subTest(name):
                with self.assertLogs("nova_cachemig.rpc", "WARNING") as logged:
                    delete(self.channel())
                    self.until(lambda: not served.listening)
                self.assertIn("was deleted", "".join(logged.output))
                self.until(lambda: served.listening and self.ping())

    def test_a_client_outlives_the_exchange(self) -> None:
        """The exchange goes with its last queue: half an hour after an agent has stopped."""
        client = AgentClient(new_conf(), "t", transport_url=self.broker.url, rpc_timeout=5.0)
        self.addCleanup(client.close)
        for _ in range(3):
            served = self.serve()
            self.assertTrue(served.wait_listening(LIMIT))
            self.assertEqual("cache1", client.ping({})["host"])
            self.assertTrue(served.stop())
            self.channel().exchange_delete(bus.EXCHANGE)
            with self.assertRaises(UnreachableError):
                client.ping({})

    def test_a_virtual_host_that_is_deleted_fills_no_log(self) -> None:
        self.broker.ctl("add_vhost", "v")
        rights = ("set_permissions", "-p", "v", "guest", ".*", ".*", ".*")
        self.broker.ctl(*rights)
        drivers = ("oslo.messaging", "oslo_messaging")
        for name in drivers:
            logging.getLogger(name).setLevel(logging.ERROR)
        with (
            mock.patch.object(Broker, "url", self.broker.address("v")),
            self.assertLogs(level="ERROR") as logged,
        ):
            served = self.serve()
            self.assertTrue(served.wait_listening(LIMIT))
            client = AgentClient(new_conf(), "t", transport_url=self.broker.url, rpc_timeout=5.0)
            self.addCleanup(client.close)
            client.ping({})
            self.broker.ctl("delete_vhost", "v")
            self.until(lambda: not served.listening)
            self.broker.ctl("add_vhost", "v")
            self.broker.ctl(*rights)
            self.until(lambda: served.listening and self.ping())
            logging.getLogger().error("the end")  # assertLogs wants one
        self.assertEqual(["ERROR:root:the end"], logged.output)

    def test_a_wrong_password_is_named(self) -> None:
        wrong = self.broker.address(login="guest:wrong")
        with (
            mock.patch.object(Broker, "url", wrong),
            self.assertLogs("nova_cachemig.rpc", "WARNING") as logged,
        ):
            served = self.serve()
            self.until(lambda: bool(served.faults.counts()))
        self.assertFalse(served.listening)
        self.assertIn("check the password", logged.output[0])

    def test_it_knows_when_it_does_not_listen_and_comes_back(self) -> None:
        served = self.serve()
        self.assertTrue(served.wait_listening(LIMIT))
        self.broker.stop()
        self.until(lambda: not served.listening)
        self.broker.start()
        self.assertTrue(served.wait_listening(LIMIT))
        self.assertTrue(self.ping())


if __name__ == "__main__":
    unittest.main()
