"""RPC over a real RabbitMQ: that it works, its cost, and the cost of its failures to Nova."""

from __future__ import annotations

import logging
import statistics
import threading
import time
import unittest

from nova_cachemig.compute.hook import HookLimits, MigrationHook
from nova_cachemig.compute.notification import MigrationEvent, MigrationEventKind
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc.agent import AgentClient
from nova_cachemig.rpc.client import UnreachableError
from nova_cachemig.rpc.server import RpcServer
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RECORD, NotingEndpoint, new_conf

ANSWER = 1.0  # seconds: rpc_timeout in these tests
SLACK = 0.5  # seconds that a busy machine may add
NOT_YET = {"ready": False, "phase": "warming", "reason": "not yet"}


def event(kind: MigrationEventKind, request: str = "req-1") -> MigrationEvent:
    return MigrationEvent(kind, "uuid-1", request, "host-b", "host-a", kind.value)


class OnRabbit(unittest.TestCase):
    broker: Broker

    @classmethod
    def setUpClass(cls) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp", "nova_cachemig.rpc"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # they log what is provoked here
        cls.broker = Broker(strict=True)
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()

    def setUp(self) -> None:
        self.topic = self.id().rpartition(".")[2]
        self.endpoint = NotingEndpoint()
        self.addCleanup(self.endpoint.gate.set)

    def client(self) -> AgentClient:
        client = AgentClient(
            new_conf(), self.topic, transport_url=self.broker.url, rpc_timeout=ANSWER
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
        return MigrationHook(client, HookLimits(warm, ANSWER, 0.0), client.faults)

    def migrate(self, hook: MigrationHook, request: str = "req-1") -> tuple[float, float]:
        """Seconds that pre.start and pre.end took."""
        began = time.monotonic()
        hook.handle(event(MigrationEventKind.BEGUN, request))
        sent = time.monotonic()
        hook.handle(event(MigrationEventKind.PREPARED, request))
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

    def test_an_event_is_there_in_milliseconds(self) -> None:
        self.serve()
        client = self.client()
        self.assertTrue(client.warm_up().delivered(5))
        took = []
        for number in range(200):
            event = GuestEvent("uuid-1", EventKind.PAUSED, float(number), "host-a")
            began = time.monotonic()
            client.guest_event({}, event)
            sent = ("guest_event", event)
            self.assertTrue(self.endpoint.await_that(lambda t=sent: t in self.endpoint.told[-1:]))
            took.append(time.monotonic() - began)
        # Aimed at: 99 % within 20 ms. The tests' machine may be busy with others.
        self.assertLess(statistics.median(took), 0.02)
        self.assertLess(statistics.quantiles(took, n=10)[-1], 0.1)

    def test_a_migration_waits_for_a_cold_cache(self) -> None:
        self.serve()
        self.endpoint.warm = NOT_YET
        client = self.client()
        warm = threading.Timer(1.0, self.endpoint.__setattr__, ("warm", NOT_YET | {"ready": True}))
        warm.start()
        _told, waited = self.migrate(self.hook(client))
        self.assertGreaterEqual(waited, 0.9)
        self.assertEqual(["begin", "wait_warm"], [what[0] for what in self.endpoint.told[:2]])


class AgentIsDown(OnRabbit):
    def test_where_none_has_ever_listened_it_costs_nothing(self) -> None:
        client = self.client()
        with self.assertRaisesRegex(UnreachableError, "no agent listens"):
            client.ping({})
        sent, waited = self.migrate(self.hook(client))
        self.assertLess(sent, 0.1)
        self.assertLess(waited, SLACK)

    def test_what_was_said_before_the_agent_came_is_heard(self) -> None:
        cast = self.client().begin({}, "uuid-1", "req-1", "a", "b", 1.0)
        self.assertFalse(cast.delivered(5))
        self.assertIn("no agent listens", str(cast.error))
        self.serve()
        self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.told), 10))

    def test_one_that_has_ended_costs_one_answer(self) -> None:
        self.assertTrue(self.serve().stop())
        sent, waited = self.migrate(self.hook(self.client()))
        self.assertLess(sent, 0.1)
        self.assertLess(waited, ANSWER + SLACK)


class BusIsDown(OnRabbit):
    def _bounded(self, hook: MigrationHook, request: str) -> None:
        sent, waited = self.migrate(hook, request)
        self.assertLess(sent, 0.1, "pre.start waited")
        self.assertLess(waited, ANSWER + SLACK, "pre.end waited")

    def test_it_stops_and_comes_back(self) -> None:
        self.serve()
        known, fresh = self.client(), self.client()
        self.migrate(self.hook(known), "req-before")
        self.endpoint.told.clear()
        self.broker.stop()
        for number in range(3):
            self._bounded(self.hook(known), f"req-{number}")
        self._bounded(self.hook(fresh), "req-fresh")
        self.broker.start()
        wanted = {"req-0", "req-1", "req-2", "req-fresh"}
        self.assertTrue(self.endpoint.await_that(lambda: wanted <= self._begun(), 30))
        deadline = time.monotonic() + 30
        while not self._answers(known):
            self.assertLess(time.monotonic(), deadline)

    def _begun(self) -> set[str]:
        return {what[1].request for what in self.endpoint.told if what[0] == "begin"}

    def _answers(self, client: AgentClient) -> bool:
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
        asked = lambda: [what[0] for what in self.endpoint.told].count("wait_warm") >= 2  # noqa: E731
        self.assertTrue(self.endpoint.await_that(asked))
        self.broker.stop(kill=True)
        stopped = time.monotonic()
        self.addCleanup(self.broker.start)
        waiting.join(40)
        # The slice under way (2 s, the endpoint answers at once), then one answer's time.
        self.assertLess(time.monotonic() - stopped, 2.0 + ANSWER + SLACK)
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
        _told, waited = self.migrate(self.hook(client, warm=0.3), "req-1")
        self.assertLess(waited, 0.3 + SLACK)


if __name__ == "__main__":
    unittest.main()
