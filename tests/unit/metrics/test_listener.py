"""The listener on real sockets: it serves, and no client can occupy it."""

from __future__ import annotations

import socket
import threading
import unittest
import urllib.request
from collections.abc import Iterator
from unittest import mock

from prometheus_client import core
from prometheus_client.registry import Collector

from nova_cachemig.conf.metrics import Address
from nova_cachemig.metrics import listener as listener_module
from nova_cachemig.metrics.listener import CLIENTS, Listener, _Server


class One(Collector):
    def collect(self) -> Iterator[core.Metric]:
        yield core.GaugeMetricFamily("nova_cachemig_y", "Y.", value=3)


ANY_PORT = Address("127.0.0.1", 0)


class ListenerTest(unittest.TestCase):
    def started(self, address: Address = ANY_PORT) -> Listener:
        listener = Listener(address, One(), retry=0.01)
        self.addCleanup(listener.stop)
        listener.start()
        return listener

    def scrape(self, port: int) -> str:
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as response:
            return str(response.read().decode())

    def test_the_metrics_and_those_of_the_process(self) -> None:
        listener = self.started()
        self.assertTrue(listener.listening.wait(10))
        found = self.scrape(listener.port)
        self.assertIn("\nnova_cachemig_y 3.0\n", found)
        self.assertIn("process_resident_memory_bytes", found)
        listener.stop()
        with self.assertRaises(OSError):
            self.scrape(listener.port)

    def test_silent_clients_are_few(self) -> None:
        listener = self.started()
        self.assertTrue(listener.listening.wait(10))
        silent = [
            socket.create_connection(("127.0.0.1", listener.port), 10) for _ in range(CLIENTS)
        ]
        with socket.create_connection(("127.0.0.1", listener.port), 10) as another:
            self.assertEqual(b"", another.recv(1))  # closed immediately
        for one in silent:
            one.close()

    def test_an_address_in_use_is_tried_again(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            with self.assertLogs("nova_cachemig.metrics.listener", "ERROR") as logs:
                listener = self.started(Address("127.0.0.1", port))
                self.assertFalse(listener.listening.wait(0.1))
            self.assertEqual(1, len(logs.output))
            self.assertIn(f"no metrics: cannot listen on 127.0.0.1:{port}", logs.output[0])
        self.assertTrue(listener.listening.wait(10))
        self.assertIn("nova_cachemig_y", self.scrape(port))

    def test_a_stop_at_any_time_ends_it(self) -> None:
        listener = Listener(ANY_PORT, One())

        def stopped_meanwhile(address: Address) -> _Server:
            listener._over.set()
            return _Server(address)

        with mock.patch.object(listener_module, "_Server", stopped_meanwhile):
            listener.start()
            listener._thread.join(10)
        stopping = threading.Thread(target=listener.stop, daemon=True)
        stopping.start()
        stopping.join(10)
        self.assertFalse(stopping.is_alive() or listener._thread.is_alive())
        for _ in range(5):
            listener = self.started()
            listener.stop()
            self.assertFalse(listener._thread.is_alive())

    def test_a_stop_before_it_could_listen(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with self.assertLogs("nova_cachemig.metrics.listener", "ERROR"):
                listener = self.started(Address("127.0.0.1", other.getsockname()[1]))
                self.assertFalse(listener.listening.wait(0.1))
            listener.stop()
            self.assertFalse(listener._thread.is_alive())
