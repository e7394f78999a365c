import threading
import unittest
from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

from nova_cachemig.compute import agent_ping
from nova_cachemig.compute.agent_ping import INTERVAL, RETRY, AgentPing
from nova_cachemig.rpc.client import BusError, RefusedError, UnreachableError

LOGGER = "nova_cachemig.compute.agent_ping"
NOBODY = UnreachableError("ping: no agent listens on topic t")


class AgentPingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.error: Exception | None = None
        self.responses = 0
        self.pings = self.new()

    def new(self, ping: Callable[[], Mapping[str, Any]] | None = None) -> AgentPing:
        made = AgentPing(ping or self.respond, self.on_response)
        self.addCleanup(made.stop)
        return made

    def respond(self) -> Mapping[str, Any]:
        if self.error is not None:
            raise self.error
        return {"host": "cache1"}

    def on_response(self) -> None:
        self.responses += 1

    def test_an_agent_that_responds_is_logged_once(self) -> None:
        with self.assertLogs(LOGGER, "INFO") as logged:
            pauses = [self.pings.step() for _ in range(5)]
        self.assertEqual([f"INFO:{LOGGER}:cachemig: agent cache1 is listening"], logged.output)
        self.assertEqual(5, self.responses)
        for pause in pauses:
            self.assertAlmostEqual(INTERVAL, pause, delta=INTERVAL / 5)

    def test_one_warning_names_the_remedy(self) -> None:
        for error, remedy in (
            (NOBODY, "start nova-cachemig-agent"),
            (BusError("ping: (403) ACCESS_REFUSED"), "RabbitMQ refuses the user"),
            (BusError("ping: no connection to the message bus"), "check transport_url"),
            (RefusedError("TypeError: no"), "log of nova-cachemig-agent"),
            (TypeError("no"), "check transport_url"),
        ):
            with self.subTest(error=error):
                self.error, pings = error, self.new()
                with self.assertLogs(LOGGER, "INFO") as logged:
                    pauses = [pings.step() for _ in range(len(RETRY) + 2)]
                [line] = logged.output
                self.assertIn(remedy, line)
                self.assertIn(str(error), line)
                self.assertEqual([*RETRY, RETRY[-1], RETRY[-1]], pauses)
        self.assertEqual(0, self.responses)

    def test_a_restart_of_the_agent_is_no_warning(self) -> None:
        with self.assertLogs(LOGGER, "INFO") as logged:
            self.pings.step()
            self.error = NOBODY
            self.pings.step()
            self.error = None
            self.pings.step()
        self.assertEqual(1, len(logged.output))

    def test_each_change_is_logged(self) -> None:
        with self.assertLogs(LOGGER, "INFO") as logged:
            for error in (None, NOBODY, NOBODY, NOBODY, None, None):
                self.error = error
                self.pings.step()
        levels = [record.levelname for record in logged.records]
        self.assertEqual(["INFO", "WARNING", "INFO"], levels)

    def test_a_failed_request_is_followed_by_pings_at_once(self) -> None:
        self.error = NOBODY
        with self.assertLogs(LOGGER, "WARNING"):
            for _ in RETRY:
                self.pings.step()
        pinged = threading.Semaphore(0)

        def respond() -> Mapping[str, Any]:
            pinged.release()
            raise NOBODY

        self.pings._ping = respond
        with mock.patch.object(agent_ping, "RETRY", (0.0, 600.0)):
            self.pings.check_soon()
            for _ in range(2):
                self.assertTrue(pinged.acquire(timeout=10))
            self.pings.check_soon()
            self.assertTrue(pinged.acquire(timeout=10))

    def test_there_is_one_thread(self) -> None:
        with self.assertLogs(LOGGER, "INFO"):
            self.pings.start()
            thread = self.pings._thread
            self.pings.start()
            self.assertIs(thread, self.pings._thread)
            self.pings.stop()
        assert thread is not None
        self.assertFalse(thread.is_alive())
