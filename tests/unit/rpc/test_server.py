import logging
import threading
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import oslo_messaging

from nova_cachemig.rpc import bus, server
from nova_cachemig.rpc.client import RefusedError
from nova_cachemig.rpc.server import RpcServer
from tests.unit.rpc.endpoints import OnFakeBus, new_conf

PRECONDITION = "Exchange.declare: (406) PRECONDITION_FAILED - inequivalent arg 'durable'"


class Serving(OnFakeBus):
    def test_a_newer_client_learns_that_the_server_is_older(self) -> None:
        self.serve()
        client = self.client()
        with self.assertRaisesRegex(RefusedError, "does not support RPC version 2.0"):
            client._rpc.call("ping", {}, version="2.0")

    def test_what_is_not_in_the_contract_cannot_be_called(self) -> None:
        self.serve()
        client = self.client()
        for method in ("_note", "__init__", "nothing"):
            with self.assertRaises(RefusedError):
                client._rpc.call(method, {})
        self.assertEqual([], self.endpoint.received)

    def test_several_are_served_at_once(self) -> None:
        self.serve()
        self.endpoint.gate.clear()
        client = self.client()
        waiting = [threading.Thread(target=client.ping, args=({},)) for _ in range(4)]
        for thread in waiting:
            thread.start()
        together = self.endpoint.await_that(lambda: len(self.endpoint.received) == 4)
        self.endpoint.gate.set()
        for thread in waiting:
            thread.join(5)
        self.assertTrue(together)

    def test_stopping_ends_it(self) -> None:
        served = self.serve()
        self.assertTrue(served.listening)
        self.assertTrue(served.stop())
        self.assertFalse(served.listening)

    def test_one_that_was_never_started_stops(self) -> None:
        self.assertTrue(RpcServer(new_conf(), bus.target("t", "1.0", "s"), []).stop())


class Failing(unittest.TestCase):
    """The bus does not let the server listen."""

    def setUp(self) -> None:
        self.topic = self.id()
        backoff = mock.patch.object(server, "BACKOFF", (0.0,))
        backoff.start()
        self.addCleanup(backoff.stop)

    def server(self, url: str = "fake://", **options: Any) -> RpcServer:
        target = bus.target(self.topic, "1.0", "cache1")
        served = RpcServer(new_conf(), target, [], url=url, **options)
        self.addCleanup(served.stop)
        return served

    def test_it_tries_again_until_it_may_and_logs_one_line_with_the_remedy(self) -> None:
        made = bus.transport
        errors: list[Exception] = [OSError(PRECONDITION)] * 3

        def transport(*arguments: Any) -> Any:
            if errors:
                raise errors.pop()
            return made(*arguments)

        with (
            self.assertLogs("nova_cachemig.rpc", "INFO") as logged,
            mock.patch.object(bus, "transport", transport),
        ):
            served = self.server()
            served.start()
            self.assertTrue(served.wait_listening(5))
            self.assertTrue(served.stop())
        warnings = [r.getMessage() for r in logged.records if r.levelno >= logging.WARNING]
        self.assertEqual(1, len(warnings), logged.output)
        self.assertIn("exists with other flags", warnings[0])
        self.assertIn(f"cannot listen on topic {self.topic}", warnings[0])
        self.assertEqual([3], list(served.faults.counts().values()))

    def test_with_the_bus_down_it_neither_blocks_nor_fails(self) -> None:
        for name in ("oslo_messaging", "oslo.messaging"):
            logger = logging.getLogger(name)
            self.addCleanup(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        with (
            mock.patch.object(server, "SLOW_START", 0.05),
            self.assertLogs("nova_cachemig.rpc", "WARNING") as logged,
        ):
            served = self.server("rabbit://guest:guest@127.0.0.1:1/")
            served.start()
            self.assertFalse(served.wait_listening(0.3))
            self.assertFalse(served.listening)
            self.assertTrue(served.stop())
        self.assertIn("check transport_url", logged.output[0])

    def test_an_attempt_that_succeeds_too_late_is_ended(self) -> None:
        began, gate, ended = threading.Event(), threading.Event(), threading.Event()

        class Slow:
            def start(self) -> None:
                began.set()
                gate.wait(5)

            def stop(self) -> None:
                ended.set()

            def wait(self) -> None:
                pass

        with mock.patch.object(server.oslo_messaging, "get_rpc_server", lambda *a, **k: Slow()):
            served = self.server()
            served.start()
            self.assertTrue(began.wait(5))
            self.assertTrue(served.stop())
        self.assertFalse(ended.is_set())
        gate.set()
        self.assertTrue(ended.wait(5))


class SelfCheck(unittest.TestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch.multiple(server, CHECK_EVERY=0.01, CHECK_TIMEOUT=0.2))
        target = bus.target(self.id(), "1.0", "cache1")
        self.served = RpcServer(new_conf(), target, [], url="fake://", self_check=True)
        self.addCleanup(self.served.stop)

    @mock.patch.object(server, "CHECK_TIMEOUT", 10.0)
    def test_a_server_that_receives_its_echo_goes_on_listening(self) -> None:
        self.served.start()
        self.assertTrue(self.served.wait_listening(30))
        self.assertTrue(self.served._echo.heard.wait(30))
        self.assertTrue(self.served.listening)
        self.assertEqual({}, self.served.faults.counts())

    def test_a_server_does_not_listen_until_it_receives_its_echo(self) -> None:
        deaf = threading.Event()
        lost = threading.Event()

        def cast(attempt: Any, target: Any) -> None:
            if deaf.is_set():
                lost.set()
                raise OSError(PRECONDITION)
            return sent(attempt, target)

        sent = server._Attempt.cast_echo
        with (
            mock.patch.object(server._Attempt, "cast_echo", cast),
            self.assertLogs("nova_cachemig.rpc", "WARNING") as logged,
        ):
            self.served.start()
            self.assertTrue(self.served.wait_listening(5))
            deaf.set()
            self.assertTrue(lost.wait(5))
            lost.clear()
            self.assertTrue(lost.wait(5))  # the second check: the first is over
            self.assertFalse(self.served.listening)
            deaf.clear()
            self.assertTrue(self.served.wait_listening(5))
        self.assertIn("exists with other flags", logged.output[0])

    @mock.patch.object(server, "CHECK_TIMEOUT", 10.0)
    def test_a_server_listens_anew_if_the_bus_works_and_nothing_arrives(self) -> None:
        for error in (
            oslo_messaging.MessageUndeliverable(None, None, None, None),
            oslo_messaging.MessageDeliveryFailure("Basic.publish: (404) NOT_FOUND"),
        ):
            anew = threading.Semaphore(0)

            def make(
                served: RpcServer,
                made: Callable[[RpcServer], Any] = RpcServer._make,
                anew: threading.Semaphore = anew,
            ) -> Any:
                anew.release()
                return made(served)

            with (
                self.subTest(type(error)),
                mock.patch.object(server._Attempt, "cast_echo", side_effect=error),
                mock.patch.object(RpcServer, "_make", make),
                self.assertLogs("nova_cachemig.rpc", "WARNING") as logged,
            ):
                target = bus.target(self.id(), "1.0", "cache1")
                served = RpcServer(new_conf(), target, [], url="fake://", self_check=True)
                served.start()
                for _ in range(3):
                    self.assertTrue(anew.acquire(timeout=30))
            # An attempt that stop() abandons ends later, and clears the fake bus of other tests.
            self.assertTrue(served.wait_listening(30))
            self.assertTrue(served.stop())
            self.assertIn("was deleted in RabbitMQ", logged.output[0])
