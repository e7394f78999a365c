from __future__ import annotations

import asyncio
import unittest
from unittest import mock

from tools.measurement.exchange import Exchange


class ExchangeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.exchange = Exchange()
        self.transport = mock.create_autospec(asyncio.Transport, instance=True)
        self.transport.is_closing.return_value = False
        self.exchange.connection_made(self.transport)
        self.results: list[tuple[int, str]] = []
        self.ask()

    def ask(self) -> None:
        self.exchange.send(b"GET", lambda status, _, error: self.results.append((status, error)))

    def test_a_whole_response_in_pieces(self) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":
            self.assertEqual([], self.results)
            self.exchange.data_received(bytes([byte]))
        self.assertEqual([(200, "")], self.results)
        self.assertTrue(self.exchange.reusable)

    def test_continue_is_not_the_response(self) -> None:
        self.exchange.data_received(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertEqual([], self.results)
        self.exchange.data_received(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual([(204, "")], self.results)

    def test_a_body_that_ends_with_the_connection(self) -> None:
        self.exchange.data_received(b"HTTP/1.0 200 OK\r\n\r\nabc")
        self.assertEqual([], self.results)
        self.exchange.connection_lost(None)
        self.assertEqual([(200, "")], self.results)

    def test_a_body_cut_short(self) -> None:
        self.exchange.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.exchange.connection_lost(None)
        self.assertEqual([(200, "closed in the response")], self.results)

    def test_closed_before_a_response(self) -> None:
        self.assertFalse(self.exchange.untouched)  # the first request: nothing to retry
        self.exchange.connection_lost(ConnectionResetError())
        self.assertEqual([(0, "ConnectionResetError before a response")], self.results)

    def test_an_idle_connection_that_was_closed_is_distinguished(self) -> None:
        self.exchange.data_received(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.ask()
        self.assertTrue(self.exchange.untouched)
        self.exchange.connection_lost(None)
        self.assertEqual((0, "closed before a response"), self.results[-1])

    def test_not_http(self) -> None:
        self.exchange.data_received(b"SSH-2.0-x\r\n")
        self.assertEqual(1, len(self.results))
        self.assertTrue(self.results[0][1].startswith("not HTTP"))
        self.transport.abort.assert_called_once()

    def test_an_abandoned_exchange_reports_nothing(self) -> None:
        self.exchange.abort()
        self.exchange.connection_lost(None)
        self.assertEqual([], self.results)
