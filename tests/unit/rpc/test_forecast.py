"""Between forecaster and schedulers over oslo.messaging's fake bus."""

from __future__ import annotations

import threading
import unittest
from typing import Any

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.rpc.calls import OverdueError
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.forecast import (
    ForecasterClient,
    ForecasterServer,
    SchedulersClient,
    SnapshotServer,
)

BUS = "fake:/"


class Endpoint:
    """Says what it was asked."""

    def request_snapshot(self) -> dict[str, Any] | None:
        return None

    def show(self) -> dict[str, Any]:
        return {"hosts": []}

    def explain(self, host: str) -> dict[str, Any]:
        raise ValueError(f"{host} is unknown")

    def rank(self, instance: str, vcpus: int | None) -> dict[str, Any]:
        return {"instance": instance, "vcpus": vcpus}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.conf = cfg.ConfigOpts()
        self.conf([], default_config_files=[], default_config_dirs=[])


class Asking(Case):
    def client(self, timeout: float = 5.0) -> ForecasterClient:
        return ForecasterClient(self.conf, self.id(), BUS, timeout)

    def serve(self) -> None:
        server = ForecasterServer(self.conf, self.id(), "f1", BUS, Endpoint())
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.started.wait(10))

    def test_answers(self) -> None:
        self.serve()
        client = self.client()
        self.assertIsNone(client.request_snapshot())
        self.assertEqual({"hosts": []}, client.show())
        self.assertEqual({"instance": "i1", "vcpus": 4}, client.rank("i1", 4))
        self.assertEqual({"instance": "i1", "vcpus": None}, client.rank("i1"))

    def test_the_callers_faults_come_back_in_words(self) -> None:
        self.serve()
        client = self.client()
        for ask, words in (
            (lambda: client.explain("cmp9"), "cmp9 is unknown"),
            (lambda: client.explain(""), "not a name"),
            (lambda: client.explain("x" * 256), "not a name"),
            (lambda: client.rank("i1", 0), "no number of CPUs"),
            (lambda: client.rank("i1", True), "no number of CPUs"),
        ):
            with self.assertRaisesRegex((oslo_messaging.RemoteError, ValueError), words):
                ask()

    def test_nobody_answers_and_it_is_over_in_time(self) -> None:
        with self.assertRaises((oslo_messaging.MessagingException, OverdueError)):
            self.client(0.2).show()


class Telling(Case):
    def test_every_scheduler_hears_every_snapshot(self) -> None:
        heard: list[list[Any]] = [[], []]
        arrived = threading.Semaphore(0)

        def ear(number: int) -> Any:
            def put(wire: Any) -> None:
                heard[number].append(wire)
                arrived.release()

            return put

        for number in range(2):
            server = SnapshotServer(self.conf, self.id(), f"s{number}", BUS, ear(number))
            server.start()
            self.addCleanup(server.stop)
            self.assertTrue(server.started.wait(10))
        client = SchedulersClient(self.conf, self.id(), BUS, Faults(), 60.0)
        self.addCleanup(client.stop)
        client.tell({"sequence": 1})
        for _ in range(2):
            self.assertTrue(arrived.acquire(timeout=10))
        self.assertEqual([[{"sequence": 1}]] * 2, heard)
        self.assertEqual(1, client.counts().sent)

    def test_telling_never_waits_and_only_the_newest_is_kept(self) -> None:
        entered, leave = threading.Event(), threading.Event()
        sent: list[int] = []
        client = SchedulersClient(self.conf, self.id(), BUS, Faults(), 60.0)

        def stuck(method: str, arguments: dict[str, Any]) -> None:
            entered.set()
            leave.wait(10)
            sent.append(arguments["snapshot"]["sequence"])

        client._courier._send = stuck
        client.tell({"sequence": 0})
        self.assertTrue(entered.wait(10))
        for sequence in range(1, 6):
            client.tell({"sequence": sequence})
        leave.set()
        client.stop()
        self.assertEqual([0, 5], sent)

    def test_what_is_no_primitive_is_not_sent(self) -> None:
        faults = Faults()
        client = SchedulersClient(self.conf, self.id(), BUS, faults, 0.0)
        client.tell({"when": {1, 2}})
        client.stop()
        self.assertTrue(faults.counts())
        self.assertEqual(0, client.counts().sent)
