"""Servers that send a byte now and then, or far too much: a poll ends soon, and says why."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import unittest
from collections.abc import Callable

from nova_cachemig.telemetry.gnocchi import GnocchiSource
from nova_cachemig.telemetry.prometheus import PrometheusSource
from nova_cachemig.telemetry.source import Source, SourceError, UnreachableError
from tests.unit.telemetry.config import conf

TIMEOUT = 1.0
SLACK = 1.0  # seconds that a busy machine may add
MEMORY = 180 * 2**20  # httpx decodes pieces of 64 KiB
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n"


class Server:
    """Calls ``respond`` with each connection, once its request has begun to arrive."""

    def __init__(self, respond: Callable[[socket.socket], None]) -> None:
        self._respond = respond
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                self._respond(connection)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # else the kernel would reset the connection
                    pass
            except OSError:
                return  # the client has gone

    def drip(self, connection: socket.socket, head: bytes, piece: bytes) -> None:
        """Send ``head``, then ``piece`` every 0.2 s for 10 s."""
        connection.sendall(head)
        for _ in range(50):
            if self.ended.wait(0.2):
                break
            connection.sendall(piece)

    def close(self) -> None:
        """End all."""
        self.ended.set()
        self._listener.close()


class HostileTest(unittest.TestCase):
    def serve(self, respond: Callable[[socket.socket], None]) -> Server:
        server = Server(respond)
        self.addCleanup(server.close)
        return server

    def sources(self, port: int, timeout: float = TIMEOUT) -> dict[str, Source]:
        url = f"http://127.0.0.1:{port}"
        gnocchi = {"auth_type": "none", "endpoint_override": url}
        options = conf(
            prometheus_url=url,
            prometheus_timeout=timeout,
            prometheus_host_query=["cpu = up"],
            gnocchi=gnocchi,
        )
        options.set_override("timeout", timeout / 2, group="gnocchi")
        return {"prometheus": PrometheusSource(options), "gnocchi": GnocchiSource(options)}

    def poll(self, server: Server, error: type[SourceError], words: str) -> None:
        for name, source in self.sources(server.port).items():
            self.addCleanup(source.stop)
            began = time.monotonic()
            with self.subTest(name), self.assertRaisesRegex(error, words):
                source.poll(time.time() - 600, time.time())
            self.assertLess(time.monotonic() - began, TIMEOUT + SLACK, name)

    def test_a_body_that_drips(self) -> None:
        head = HEAD + b"Content-Length: 1000000\r\n\r\n"
        server = self.serve(lambda connection: server.drip(connection, head, b" "))
        self.poll(server, UnreachableError, "no response within 1.0 s|not complete")

    def test_headers_that_drip(self) -> None:
        server = self.serve(lambda connection: server.drip(connection, HEAD, b"A: 1\r\n"))
        self.poll(server, UnreachableError, "no response within 1.0 s")

    def test_a_little_that_becomes_much(self) -> None:
        bomb = gzip.compress(bytes(2**29))
        head = GZIP + b"Content-Length: %d\r\n\r\n" % len(bomb)
        server = self.serve(lambda connection: connection.sendall(head + bomb))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for name, source in self.sources(server.port, timeout=60.0).items():
            self.addCleanup(source.stop)
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            with self.subTest(name), self.assertRaisesRegex(SourceError, "larger than 32 MiB"):
                source.poll(time.time() - 600, time.time())
            self.assertLess(tracemalloc.get_traced_memory()[1] - before, MEMORY, name)

    def test_encodings_of_encodings(self) -> None:
        head = HEAD + b"Content-Encoding: gzip, gzip\r\nContent-Length: 0\r\n\r\n"
        server = self.serve(lambda connection: connection.sendall(head))
        self.poll(server, SourceError, "'gzip, gzip'")


if __name__ == "__main__":
    unittest.main()
