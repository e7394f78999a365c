"""The forecaster's contract over oslo.messaging's fake bus."""

from __future__ import annotations

import inspect
import unittest
from typing import Any

from nova_cachemig.rpc import forecaster
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from tests.unit.rpc.endpoints import new_conf

BUS = "fake:/"


class Endpoint:
    """Returns what it was asked."""

    def request_snapshot(self) -> dict[str, Any] | None:
        return None

    def show(self) -> dict[str, Any]:
        return {"hosts": []}

    def explain(self, host: str) -> dict[str, Any]:
        raise ValueError(f"{host} is unknown")

    def rank(self, instance: str, vcpus: int | None) -> dict[str, Any]:
        return {"instance": instance, "vcpus": vcpus}


class Asking(unittest.TestCase):
    def client(self, timeout: float = 5.0) -> forecaster.ForecasterClient:
        return forecaster.ForecasterClient(new_conf(), self.id(), BUS, timeout)

    def serve(self) -> None:
        server = forecaster.server(new_conf(), self.id(), "f1", BUS, Endpoint())
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(10))

    def test_responses(self) -> None:
        self.serve()
        client = self.client()
        self.assertIsNone(client.request_snapshot())
        self.assertEqual({"hosts": []}, client.show())
        self.assertEqual({"instance": "i1", "vcpus": 4}, client.rank("i1", 4))
        self.assertEqual({"instance": "i1", "vcpus": None}, client.rank("i1"))

    def test_the_callers_mistakes_come_back_as_a_sentence(self) -> None:
        self.serve()
        client = self.client()
        for ask, words in (
            (lambda: client.explain("cmp9"), "^cmp9 is unknown$"),
            (lambda: client.explain(""), "^host is not a name"),
            (lambda: client.explain("x" * 256), "^host is not a name"),
            (lambda: client.rank("i1", 0), "^vcpus is not a number of CPUs"),
            (lambda: client.rank("i1", True), "^vcpus is not a number of CPUs"),
        ):
            with self.assertRaisesRegex(RefusedError, words):
                ask()

    def test_without_a_forecaster_a_call_ends_in_time(self) -> None:
        with self.assertRaises(UnreachableError):
            self.client(0.2).show()

    def test_the_history_names_the_version_in_force(self) -> None:
        self.assertIn(f"* {forecaster.VERSION} - ", inspect.getdoc(forecaster) or "")
