"""The generic client: errors by whose fault they are, forks, closing."""

from __future__ import annotations

import threading
import time
import unittest
from unittest import mock

import amqp
import oslo_messaging

from nova_cachemig.rpc import bus
from nova_cachemig.rpc import client as client_module
from nova_cachemig.rpc.bounded import OverdueError
from nova_cachemig.rpc.client import BusError, RefusedError, RpcClient, UnreachableError
from tests.unit.rpc.endpoints import OnFakeBus, new_conf


class RpcClientTest(OnFakeBus):
    def rpc(self, server: str | None = None, timeout: float = 5.0) -> RpcClient:
        target = bus.target(self.topic, "1.0", server)
        client = RpcClient(new_conf(), target, peer="agent", url="fake://", timeout=timeout)
        self.addCleanup(client.close)
        return client

    def failing(self, error: Exception) -> Exception:
        """The exception of a call when oslo.messaging raises ``error``."""
        client = self.rpc("cache1", 0.5)
        transport = mock.Mock(**{"prepare.side_effect": error})
        client._connected = lambda: transport  # type: ignore[method-assign]
        with self.assertRaises((UnreachableError, RefusedError)) as caught:
            client.call("ping", {})
        self.assertNotIn("\n", str(caught.exception))
        return caught.exception

    def test_a_cast_says_how_long_it_waited_at_its_sender(self) -> None:
        client, transport = self.rpc(), mock.Mock()
        client._connected = lambda: transport  # type: ignore[method-assign]
        with mock.patch.object(
            client_module, "time", mock.Mock(monotonic=iter([5.0, 7.5]).__next__)
        ):
            self.assertTrue(client.cast("begin", {}, {"request_id": "req-1"}).delivered(5))
        [call] = transport.prepare.return_value.cast.call_args_list
        self.assertEqual({"request_id": "req-1", "age": 2.5}, call.args[0])

    def test_errors_of_the_bus_and_of_a_missing_listener(self) -> None:
        undeliverable = oslo_messaging.MessageUndeliverable(None, None, None, None)
        for error, kind, words in (
            (undeliverable, UnreachableError, "no agent listens on topic .*, server cache1"),
            (oslo_messaging.MessagingTimeout("x"), UnreachableError, "no response within 0.5 s"),
            (OverdueError("an earlier call waits"), UnreachableError, "an earlier call waits"),
            (oslo_messaging.MessageDeliveryFailure("down"), BusError, "down"),
            (ConnectionRefusedError("refused"), BusError, "ConnectionRefusedError: refused"),
            (amqp.AccessRefused("login"), BusError, "AccessRefused"),
        ):
            with self.subTest(type(error).__name__):
                found = self.failing(error)
                self.assertIs(kind, type(found))
                self.assertRegex(str(found), f"^ping: .*{words}")

    def test_a_call_that_found_no_connection_is_an_error_of_the_bus(self) -> None:
        client = RpcClient(
            new_conf(),
            bus.target(self.topic, "1.0"),
            peer="agent",
            url="rabbit://a:b@127.0.0.1:1/",
            timeout=0.2,
        )
        self.addCleanup(client.close, 0.1)
        with self.assertRaisesRegex(BusError, "ping: no connection to the message bus"):
            client.call("ping", {})

    def test_a_url_that_cannot_be_used_is_an_error_of_the_bus(self) -> None:
        for url, words in (
            ("rabit://a:b@h/", "DriverLoadFailure: .* 'rabit'"),
            ("nonsense", "InvalidTransportURL: No scheme"),
            ("rabbit://a:b@h:port/", "ValueError: .*'port'"),
        ):
            target = bus.target(self.topic, "1.0")
            client = RpcClient(new_conf(), target, peer="agent", url=url, timeout=2.0)
            self.addCleanup(client.close, 0.1)
            with self.subTest(url), self.assertRaisesRegex(BusError, f"^ping: {words}"):
                client.call("ping", {})

    def test_errors_of_the_server(self) -> None:
        trace = "no such host\nTraceback (most recent call last):"
        for error, words in (
            (oslo_messaging.RemoteError("ValueError", trace), "^no such host$"),
            (oslo_messaging.RemoteError("KeyError", trace), "^KeyError: no such host$"),
            (ValueError(trace), "^no such host$"),
            (KeyError("x"), "^KeyError: 'x'$"),
            (oslo_messaging.RemoteError("UnsupportedVersion", "v"), "older than this program"),
        ):
            with self.subTest(repr(error)):
                found = self.failing(error)
                self.assertIsInstance(found, RefusedError)
                self.assertRegex(str(found), words)

    def test_what_is_not_a_primitive_is_refused_before_anything_is_opened(self) -> None:
        client = self.rpc()
        for send in (client.cast, client.call):
            with self.assertRaises(bus.NotPrimitiveError):
                send("ping", {"at": object()})
        self.assertIsNone(client._transport)

    def test_closing_a_client_that_was_never_used_is_quick_and_starts_nothing(self) -> None:
        before, began = threading.active_count(), time.monotonic()
        self.rpc().close()
        self.assertEqual(before, threading.active_count())
        self.assertLess(time.monotonic() - began, 1.0)

    def test_casts_are_counted(self) -> None:
        self.serve()
        client = self.rpc()
        self.assertTrue(client.cast("ping", {}).delivered(5))
        self.assertEqual((1, 0), (client.counts().sent, client.counts().dropped))


if __name__ == "__main__":
    unittest.main()
