"""Snapshots from the forecaster to the schedulers over oslo.messaging's fake bus."""

from __future__ import annotations

import logging
import threading
import unittest
from typing import Any

from nova_cachemig.rpc import snapshots
from nova_cachemig.rpc.bus import NotPrimitiveError
from nova_cachemig.rpc.faults import Faults
from tests.unit.rpc.endpoints import new_conf

BUS = "fake:/"


class Sending(unittest.TestCase):
    def client(self, faults: Faults | None = None) -> snapshots.SchedulersClient:
        client = snapshots.SchedulersClient(new_conf(), self.id(), BUS, faults or Faults(), 60.0)
        self.addCleanup(client.stop)
        return client

    def test_every_scheduler_gets_every_snapshot(self) -> None:
        heard: list[list[Any]] = [[], []]
        arrived = threading.Semaphore(0)

        def putting(number: int) -> Any:
            def put(wire: Any) -> None:
                heard[number].append(wire)
                arrived.release()

            return put

        for number in range(2):
            server = snapshots.server(new_conf(), self.id(), f"s{number}", BUS, putting(number))
            server.start()
            self.addCleanup(server.stop)
            self.assertTrue(server.wait_listening(10))
        client = self.client()
        client.send({"sequence": 1})
        for _ in range(2):
            self.assertTrue(arrived.acquire(timeout=10))
        self.assertEqual([[{"sequence": 1}]] * 2, heard)
        self.assertEqual(1, client.counts().sent)

    def test_sending_never_waits_and_only_the_newest_is_kept(self) -> None:
        logging.getLogger("nova_cachemig.rpc.faults").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("nova_cachemig.rpc.faults").setLevel, logging.NOTSET)
        entered, leave = threading.Event(), threading.Event()
        sent: list[int] = []
        client = self.client()

        def stuck(method: str, queued: dict[str, Any]) -> None:
            entered.set()
            leave.wait(10)
            sent.append(queued["arguments"]["snapshot"]["sequence"])

        client._rpc._casts._send = stuck
        client.send({"sequence": 0})
        self.assertTrue(entered.wait(10))
        for sequence in range(1, 6):
            client.send({"sequence": sequence})
        leave.set()
        client.stop()
        self.assertEqual([0, 5], sent)

    def test_a_value_that_is_not_a_primitive_is_refused(self) -> None:
        client = self.client()
        with self.assertRaises(NotPrimitiveError):
            client.send({"when": {1, 2}})
        self.assertEqual(0, client.counts().sent)
