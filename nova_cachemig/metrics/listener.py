"""Serves metrics to Prometheus over HTTP, in threads: the daemon's own work does not wait."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Any, Final
from wsgiref import simple_server

from oslo_log import log
from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.registry import Collector

from nova_cachemig.conf.metrics import Address

LOG = log.getLogger(__name__)

CLIENTS: Final = 4
"""Requests at the same time; the connections of others are closed."""

_TIMEOUT: Final = 5.0  # seconds for which a client may be silent
_POLL: Final = 0.2  # seconds between two looks for the end
_RETRY: Final = 10.0  # seconds between two attempts to listen


class Listener:
    """Listens on one address until :meth:`stop`. An address that is in use is tried again."""

    def __init__(self, address: Address, collector: Collector, retry: float = _RETRY) -> None:
        """``retry``: seconds between two attempts to listen."""
        registry = CollectorRegistry()
        registry.register(collector)
        ProcessCollector(registry=registry)
        self._app = make_wsgi_app(registry)
        self._address = address
        self._retry = retry
        self._over = threading.Event()
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._run, name="cachemig-metrics", daemon=True)
        self.listening = threading.Event()

    @property
    def port(self) -> int:
        """The port, once it is :attr:`listening`."""
        assert self._server is not None, "not listening"
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close the listener. Safe before it has started."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT)

    def _run(self) -> None:
        reported = ""
        while not self._over.is_set():
            try:
                server = _Server(self._address)
            except OSError as exc:
                if str(exc) != reported:
                    LOG.error("no metrics: cannot listen on %s: %s", self._address, exc)
                reported = str(exc)
                self._over.wait(self._retry)
                continue
            with server:
                server.set_app(self._app)
                self._server = server
                self.listening.set()
                LOG.info("metrics: http://%s/metrics", self._address)
                # Not serve_forever(): a shutdown() before it begins would wait for ever.
                while not self._over.is_set():
                    server.handle_request()


class _Handler(simple_server.WSGIRequestHandler):
    timeout = _TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  of the base class
        LOG.debug("metrics: " + format, *args)


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    """One thread for each request, of which there are few."""

    daemon_threads = True
    timeout = _POLL
    request_queue_size = CLIENTS

    def __init__(self, address: Address) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._free = threading.BoundedSemaphore(CLIENTS)
        super().__init__((address.host, address.port), _Handler)

    def server_bind(self) -> None:
        """Bind without the base class's question to DNS, which can take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a request in a thread, or close its connection if there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log it: the base class would print it."""
        LOG.debug("metrics: a request from %s failed", client_address, exc_info=True)
