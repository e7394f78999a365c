"""The news of a pause reach every host, also the sender; malformed ones end nothing."""

from __future__ import annotations

import threading
import unittest
from typing import Any

from nova_cachemig.rpc import announce
from nova_cachemig.rpc.faults import Faults
from tests.unit.rpc.endpoints import new_conf


class DispatchTest(unittest.TestCase):
    def setUp(self) -> None:
        self.paused: list[tuple[str, float]] = []
        self.malformed: list[str] = []
        self.dispatch = announce.Dispatch(
            lambda *news: self.paused.append(news), self.malformed.append
        )

    def test_the_news_of_a_pause(self) -> None:
        self.dispatch.paused({}, "uuid-1", 17)
        self.assertEqual(([("uuid-1", 17.0)], []), (self.paused, self.malformed))

    def test_what_is_no_news(self) -> None:
        wires: list[tuple[Any, Any]] = [
            ("", 1.0),
            ("x" * 65, 1.0),
            (7, 1.0),
            ("uuid-1", "now"),
            ("uuid-1", True),
            ("uuid-1", float("nan")),
            ("uuid-1", float("inf")),
            ("uuid-1", 10**400),
            ("uuid-1", -1.0),
        ]
        for wire in wires:
            self.dispatch.paused({}, *wire)
        self.assertEqual([], self.paused)
        self.assertEqual(len(wires), len(self.malformed))


class FanoutTest(unittest.TestCase):
    def test_every_host_hears_it(self) -> None:
        heard: list[str] = []
        changed = threading.Condition()
        for host in ("host-a", "host-b"):

            def paused(instance: str, at: float, host: str = host) -> None:
                with changed:
                    heard.append(host)
                    changed.notify_all()

            server = announce.server(
                new_conf(), "topic", host, "fake:/", paused, self.fail, Faults()
            )
            server.start()
            self.addCleanup(server.stop)
            self.assertTrue(server.wait_listening(10.0))
        client = announce.AnnounceClient(new_conf(), "topic", "host-a", "fake:/", Faults())
        self.addCleanup(client.close)
        self.assertTrue(client.warm_up().delivered(10.0))
        client.paused("uuid-1", 1.0)
        with changed:
            self.assertTrue(changed.wait_for(lambda: len(heard) == 2, 10.0))
        self.assertEqual(["host-a", "host-b"], sorted(heard))
