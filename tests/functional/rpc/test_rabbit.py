"""RPC over a real RabbitMQ: its function, its cost, and the cost of its failures to Nova."""

from __future__ import annotations

import logging
import statistics
import threading
import time
import unittest

from nova_cachemig.compute.hook import HookTimeouts, MigrationHook
from nova_cachemig.compute.notification import MigrationEvent
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.cast_queue import CastCounts
from nova_cachemig.rpc.client import UnreachableError
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.server import RpcServer
from nova_cachemig.rpc.snapshots import SchedulersClient
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RECORD, RecordingEndpoint, new_conf

TIMEOUT = 1.0  # seconds: rpc_timeout in these tests
SLACK = 0.5  # seconds that a busy machine may add
NOT_YET = {"ready": False, "phase": "warming", "reason": "not yet"}


def event(kind: EventKind, request: str = "req-1") -> MigrationEvent:
    return MigrationEvent(kind, "uuid-1", request, "host-b", "host-a", kind.value)


class OnRabbit(unittest.TestCase):
    broker: Broker

    @classmethod
    def setUpClass(cls) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp", "nova_cachemig.rpc"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the tests provoke their messages
        cls.broker = Broker(strict=True)
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()

    def setUp(self) -> None:
        self.topic = self.id().rpartition(".")[2]
        self.endpoint = RecordingEndpoint()
        self.addCleanup(self.endpoint.gate.set)

    def client(self) -> AgentClient:
        client = AgentClient(
            new_conf(), self.topic, transport_url=self.broker.url, rpc_timeout=TIMEOUT
        )
        self.addCleanup(client.close)
        return client

    def serve(self) -> RpcServer:
        server = contract.server(
            new_conf(),
            self.endpoint,
            host="cache1",
            topic=self.topic,
            transport_url=self.broker.url,
        )
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(20))
        return server

    def hook(self, client: AgentClient, warm: float = 30.0) -> MigrationHook:
        return MigrationHook(client, HookTimeouts(warm, TIMEOUT, 0.0), client.faults)

    def migrate(self, hook: MigrationHook, request: str = "req-1") -> tuple[float, float]:
        """Return the seconds that pre.start and pre.end took."""
        began = time.monotonic()
        hook.handle(event(EventKind.BEGIN, request))
        sent = time.monotonic()
        hook.handle(event(EventKind.ARM, request))
        return sent - began, time.monotonic() - sent


class Works(OnRabbit):
    def test_all_of_the_interface(self) -> None:
        self.serve()
        client = self.client()
        self.assertTrue(client.begin({}, "uuid-1", "req-1", "a", "b", 1.0).delivered(5))
        self.assertTrue(client.wait_warm({}, "uuid-1", "req-1", 0.5).ready)
        self.assertEqual([RECORD], client.handovers({}, 5))
        self.assertEqual(RECORD, client.handover({}, "uuid-1", "req-1"))
        self.assertIsNone(client.handover({}, "uuid-1", "other"))
        self.assertEqual("shop", client.services({})[0]["name"])
        self.assertEqual(["shop.yaml: no port"], client.reload({}))
        self.assertEqual("cache1", client.ping({})["host"])

    def test_an_event_arrives_in_milliseconds(self) -> None:
        self.serve()
        client = self.client()
        self.assertTrue(client.warm_up().delivered(5))
        self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.received)))
        took = []
        for number in range(200):
            event = GuestEvent("uuid-1", EventKind.PAUSED, 1.0, "host-a", detail=str(number))
            began = time.monotonic()
            client.guest_event({}, event)
            received = lambda number=number: len(self.endpoint.received) > number + 1  # noqa: E731
            self.assertTrue(self.endpoint.await_that(received))
            took.append(time.monotonic() - began)
        # The goal is 99 % within 20 ms, but the machine that runs the tests may be busy.
        self.assertLess(statistics.median(took), 0.02)
        self.assertLess(statistics.quantiles(took, n=10)[-1], 0.1)

    def test_a_migration_waits_for_a_cold_cache(self) -> None:
        self.serve()
        self.endpoint.warm = NOT_YET
        client = self.client()
        warm = threading.Timer(1.0, self.endpoint.__setattr__, ("warm", NOT_YET | {"ready": True}))
        warm.start()
        _, waited = self.migrate(self.hook(client))
        self.assertGreaterEqual(waited, 0.9)
        self.assertEqual(["begin", "wait_warm"], [call[0] for call in self.endpoint.received[:2]])


class AgentIsDown(OnRabbit):
    def test_a_call_to_an_agent_that_never_listened_costs_nothing(self) -> None:
        client = self.client()
        with self.assertRaisesRegex(UnreachableError, "no agent listens"):
            client.ping({})
        sent, waited = self.migrate(self.hook(client))
        self.assertLess(sent, 0.1)
        self.assertLess(waited, SLACK)

    def test_a_cast_to_nobody_leaves_nothing_in_rabbitmq(self) -> None:
        self.broker.ctl("add_vhost", self.topic)
        self.broker.ctl("set_permissions", "-p", self.topic, "guest", ".*", ".*", ".*")
        before = self.broker.ctl("list_exchanges", "-p", self.topic, "name")
        url = self.broker.address(self.topic)
        client = AgentClient(new_conf(), self.topic, transport_url=url, rpc_timeout=TIMEOUT)
        cast = client.begin({}, "uuid-1", "req-1", "a", "b", 1.0)
        self.assertFalse(cast.delivered(5))
        self.assertIn("no agent listens", str(cast.error))
        client.close()
        schedulers = SchedulersClient(new_conf(), self.topic, url, Faults(), 60.0)
        schedulers.send({})
        schedulers.stop()
        self.assertEqual(CastCounts(1, 0, 0), schedulers.counts())
        self.assertEqual(before, self.broker.ctl("list_exchanges", "-p", self.topic, "name"))
        self.assertEqual([], self.broker.ctl("list_queues", "-p", self.topic, "name"))

    def test_an_agent_receives_casts_that_were_sent_before_it_started(self) -> None:
        cast = self.client().begin({}, "uuid-1", "req-1", "a", "b", 1.0)
        self.assertFalse(cast.delivered(5))
        self.assertIn("no agent listens", str(cast.error))
        self.serve()
        self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.received), 10))

    def test_one_that_has_ended_costs_one_timeout(self) -> None:
        self.assertTrue(self.serve().stop())
        sent, waited = self.migrate(self.hook(self.client()))
        self.assertLess(sent, 0.1)
        self.assertLess(waited, TIMEOUT + SLACK)


class BusIsDown(OnRabbit):
    def _bounded(self, hook: MigrationHook, request: str) -> None:
        sent, waited = self.migrate(hook, request)
        self.assertLess(sent, 0.1, "pre.start waited")
        self.assertLess(waited, TIMEOUT + SLACK, "pre.end waited")

    def test_it_stops_and_comes_back(self) -> None:
        self.serve()
        known, fresh = self.client(), self.client()
        self.migrate(self.hook(known), "req-before")
        self.endpoint.received.clear()
        self.broker.stop()
        for number in range(3):
            self._bounded(self.hook(known), f"req-{number}")
        self._bounded(self.hook(fresh), "req-fresh")
        self.broker.start()
        wanted = {"req-0", "req-1", "req-2", "req-fresh"}
        self.assertTrue(self.endpoint.await_that(lambda: wanted <= self._begun(), 30))
        deadline = time.monotonic() + 30
        while not self._responds(known):
            self.assertLess(time.monotonic(), deadline)

    def _begun(self) -> set[str]:
        return {call[1].request for call in self.endpoint.received if call[0] == "begin"}

    def _responds(self, client: AgentClient) -> bool:
        try:
            return bool(client.ping({}))
        except UnreachableError:
            return False

    def test_it_stops_while_a_migration_waits(self) -> None:
        self.serve()
        self.endpoint.warm = NOT_YET
        hook = self.hook(self.client())
        began = time.monotonic()
        waiting = threading.Thread(target=self.migrate, args=(hook,))
        waiting.start()
        waits = lambda: [call[0] for call in self.endpoint.received].count("wait_warm")  # noqa: E731
        self.assertTrue(self.endpoint.await_that(lambda: waits() >= 2))
        self.broker.stop(kill=True)
        stopped = time.monotonic()
        self.addCleanup(self.broker.start)
        waiting.join(40)
        # The slice in progress (at most 2 s: the endpoint responds immediately), then one timeout.
        self.assertLess(time.monotonic() - stopped, 2.0 + TIMEOUT + SLACK)
        self.assertLess(time.monotonic() - began, 30)

    def test_it_hangs(self) -> None:
        self.serve()
        known, fresh = self.client(), self.client()
        self.migrate(self.hook(known), "req-before")
        self.broker.freeze()
        self.addCleanup(self.broker.thaw)
        self._bounded(self.hook(known), "req-1")
        self._bounded(self.hook(fresh), "req-2")

    def test_no_call_outlives_a_short_limit(self) -> None:
        self.serve()
        client = self.client()
        self.migrate(self.hook(client), "req-before")
        self.broker.freeze()
        self.addCleanup(self.broker.thaw)
        _, waited = self.migrate(self.hook(client, warm=0.3), "req-1")
        self.assertLess(waited, 0.3 + SLACK)


if __name__ == "__main__":
    unittest.main()
