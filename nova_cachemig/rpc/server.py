"""The server of any contract: listens on a topic, and tries again for ever until it can."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_messaging.rpc import dispatcher

from nova_cachemig.rpc import bus
from nova_cachemig.rpc.bounded import BoundedCalls
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.remedies import NO_BUS, remedy

LOG = log.getLogger(__name__)

BACKOFF: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to listen; the last value repeats."""
CHECK_EVERY: Final = 10.0
"""Seconds between casts that the server sends to itself, to learn whether it still listens."""
CHECK_TIMEOUT: Final = 5.0
LOST_CHECKS: Final = 2
"""Casts in a row that RabbitMQ accepts and that do not arrive, before the server listens again."""
OWNERSHIP_LIMIT: Final = 10.0
"""Seconds, at most, before the first attempt to listen, to find another server on the topic."""
SLOW_START: Final = 5.0
"""Seconds after which an attempt that has not ended counts as a failure. It goes on all the same:
with the bus down, oslo.messaging itself tries for ever to connect."""

_NO_EXCHANGE: Final = "(404)"
"""In the driver's text if the exchange does not exist."""
_LOST: Final = (
    "it did not arrive. A queue, its binding or the exchange was deleted in RabbitMQ, or the "
    "server is too busy: it soon listens again"
)


class Ownership(Protocol):
    """Finds another server on the topic that must not be shared: see :mod:`.ownership`."""

    @property
    def other(self) -> str | None:
        """The host of an earlier server on the topic; None: there is none, or it is unknown."""

    def start(self, changed: Callable[[], None]) -> None:
        """Begin to look; ``changed`` is called in a thread when :attr:`other` may have changed."""

    def wait_decided(self, timeout: float) -> bool:
        """Wait for the first result, at most ``timeout`` seconds."""

    def stop(self) -> None:
        """Stop, so that another server can have the topic."""


class _Echo:
    """Receives the casts that a server sends to itself."""

    target = oslo_messaging.Target(namespace=bus.ECHO, version="1.0")

    def __init__(self) -> None:
        self.heard = threading.Event()

    def echo(self, ctxt: bus.Context) -> None:
        self.heard.set()


class RpcServer:
    """Serves ``endpoints`` on ``target``, which names a topic and a server.

    :meth:`start` returns immediately. Nothing that the bus does ends the server or raises. The
    server logs one line that names the remedy, waits, and tries again until :meth:`stop`.
    ``self_check``: also send itself a cast every :data:`CHECK_EVERY` seconds, so that
    :attr:`listening` is true only while requests arrive. ``ownership``: the server does not listen
    while another one has the topic.

    ``prepare`` is called before each attempt to listen, once the bus's driver has registered its
    options. ``executor`` None: the kind of threads that the process has. ``threads``: the least
    number of requests that are handled at the same time, if ``executor_thread_pool_size`` is lower.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        target: oslo_messaging.Target,
        endpoints: Sequence[object],
        *,
        url: str | None = None,
        executor: str | None = "threading",
        self_check: bool = False,
        faults: Faults | None = None,
        prepare: Callable[[], None] = lambda: None,
        ownership: Ownership | None = None,
        threads: int = 0,
    ) -> None:
        self._conf = conf
        self._target = target
        self._echo = _Echo()
        self._endpoints = [*endpoints, self._echo]
        self._url = url
        self._executor = executor
        self._self_check = self_check
        self._prepare = prepare
        self._ownership = ownership
        self._threads = threads
        self.faults = faults or Faults()
        self._cause = f"cannot listen on topic {target.topic}"
        self._not_alone = f"steps back on topic {target.topic}"
        self._listening = threading.Event()
        self._stopping = threading.Event()
        # an attempt is over, the server is to stop, or another one has the topic or leaves it
        self._wake = threading.Event()
        self._over = threading.Event()
        self._calls = BoundedCalls()
        self._thread: threading.Thread | None = None

    @property
    def listening(self) -> bool:
        """Whether requests reach this server now, as far as it knows."""
        return self._listening.is_set()

    @property
    def why_not(self) -> str:
        """Why the server does not listen, with the remedy; empty if it does or has just begun."""
        return self.faults.detail(self._not_alone) or self.faults.detail(self._cause)

    def wait_listening(self, timeout: float) -> bool:
        """Wait until the server listens, at most ``timeout`` seconds; whether it does."""
        return self._listening.wait(timeout)

    def start(self) -> None:
        """Begin to listen; returns immediately, whatever the bus does."""
        if self._thread is None:
            self._thread = _spawn(self._run)

    def stop(self, timeout: float = 5.0) -> bool:
        """Accept no more and finish what is in progress; whether that took < ``timeout`` s."""
        self._stopping.set()
        self._wake.set()
        if self._thread is None:
            self._over.set()
        return self._over.wait(timeout)

    # -- the supervising thread --------------------------------------------------------------

    def _run(self) -> None:
        pauses = itertools.chain(BACKOFF, itertools.repeat(BACKOFF[-1]))
        try:
            if self._ownership is not None:
                self._ownership.start(self._wake.set)
                self._ownership.wait_decided(OWNERSHIP_LIMIT)
            while not self._stopping.is_set():
                self._wake.clear()
                if self._steps_back():
                    self._wake.wait(CHECK_EVERY)
                    continue
                attempt = _Attempt(self._make, self._wake.set, self._threads)
                if self._await(attempt):
                    self._serve(attempt)
                else:
                    self._stopping.wait(next(pauses))
        finally:
            self._listening.clear()
            if self._ownership is not None:
                self._ownership.stop()
            self._over.set()

    def _steps_back(self) -> bool:
        """Whether another server has the topic, or this one is to stop."""
        if self._stopping.is_set():
            return True
        other = self._ownership.other if self._ownership is not None else None
        if other is None:
            self.faults.recovered(self._not_alone)
            return False
        advice = (
            f"agent {other} serves this topic: stop one of the two, or give each a topic and "
            "computes of its own ([agent] topic, [cachemig] topic)"
        )
        self.faults.note(self._not_alone, advice, level=logging.ERROR)
        return True

    def _make(self) -> tuple[Any, Any]:
        transport = bus.transport(self._conf, self._url)
        self._prepare()
        server = oslo_messaging.get_rpc_server(
            transport,
            self._target,
            self._endpoints,
            executor=self._executor,
            serializer=bus.PrimitiveSerializer(),
            access_policy=dispatcher.DefaultRPCAccessPolicy,
        )
        return transport, server

    def _await(self, attempt: _Attempt) -> bool:
        """Whether an attempt to listen succeeded; notes what is wrong while it does not."""
        while not attempt.over.is_set() and not self._steps_back():
            if not self._wake.wait(SLOW_START):
                self.faults.note(self._cause, f"the message bus does not respond: {NO_BUS}")
            self._wake.clear()
        if self._steps_back():
            attempt.abandon()
            return False
        if attempt.error is not None:
            self.faults.note(self._cause, f"{remedy(attempt.error)} ({_short(attempt.error)})")
            return False
        return True

    def _serve(self, attempt: _Attempt) -> None:
        """Listen until the server is to stop, or another one has the topic."""
        self._listening.set()
        self.faults.recovered(self._cause)
        LOG.info("listening on topic %s of the message bus", self._target.topic)
        lost = 0
        while not self._steps_back() and lost < LOST_CHECKS:
            woken = self._wake.wait(CHECK_EVERY)
            self._wake.clear()
            if self._self_check and not woken:
                lost = 0 if self._check(attempt) else lost + 1
        self._listening.clear()
        attempt.end()

    def _check(self, attempt: _Attempt) -> bool:
        """Send casts to this very server. They need no rights beyond those of a server.

        Return False if the message bus works, and yet they do not arrive: a queue, its binding or
        the exchange was deleted. The driver finds out the first of these only.
        """
        self._echo.heard.clear()
        why, bus_works, deliverable = _LOST, True, True
        try:
            self._calls.run(lambda: attempt.cast_echo(self._target), CHECK_TIMEOUT)
        except oslo_messaging.MessageUndeliverable:
            deliverable = False
        except Exception as exc:  # of oslo.messaging, the driver, or the deadline
            bus_works = _NO_EXCHANGE in str(exc)
            deliverable = not bus_works
            if not bus_works:
                why = f"{remedy(exc)} ({_short(exc)})"
        if deliverable and self._echo.heard.wait(CHECK_TIMEOUT):
            self._listening.set()
            self.faults.recovered(self._cause)
            return True
        self._listening.clear()
        self.faults.note(self._cause, f"a request to itself failed: {why}")
        return not bus_works


class _Attempt:
    """One attempt to listen, in a separate thread: with the bus down it may block for ever."""

    def __init__(
        self, make: Callable[[], tuple[Any, Any]], done: Callable[[], None], threads: int = 0
    ) -> None:
        self._make = make
        self._threads = threads
        self._done = done
        self._lock = threading.Lock()
        self._abandoned = False
        self._transport: Any = None
        self._server: Any = None
        self.over = threading.Event()
        self.error: Exception | None = None
        _spawn(self._run)

    def _run(self) -> None:
        try:
            self._transport, self._server = self._make()
            if self._threads:
                configured = self._server.conf.executor_thread_pool_size
                self._server.start(override_pool_size=max(self._threads, configured))
            else:
                self._server.start()
        except Exception as exc:
            self.error = exc
            self._clean_up()
        with self._lock:
            self.over.set()
            abandoned = self._abandoned
        self._done()
        if abandoned and self.error is None:
            self.end()

    def cast_echo(self, server: oslo_messaging.Target) -> None:
        """Send a cast to the topic and one to ``server``; blocks as long as the bus likes.

        The first may reach another server of the topic.
        """
        client = oslo_messaging.get_rpc_client(
            self._transport,
            bus.target(server.topic, "1.0", namespace=bus.ECHO),
            serializer=bus.PrimitiveSerializer(),
            transport_options=oslo_messaging.TransportOptions(at_least_once=True),
        )
        for name in (None, server.server):
            client.prepare(server=name, retry=0).cast({}, "echo")

    def abandon(self) -> None:
        """Wait no longer: if the attempt succeeds later, it ends itself."""
        with self._lock:
            self._abandoned = True
            over = self.over.is_set()
        if over and self.error is None:
            self.end()

    def end(self) -> None:
        """Stop listening and finish what is in progress."""
        try:
            self._server.stop()
            self._server.wait()
        except Exception:
            LOG.exception("listening on the message bus did not end cleanly")
        self._clean_up()

    def _clean_up(self) -> None:
        if self._transport is None:
            return
        try:
            self._transport.cleanup()
        except Exception:
            LOG.exception("a connection to the message bus was not closed cleanly")


def _short(error: object) -> str:
    return str(error).strip().partition("\n")[0][:300]


def _spawn(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="cachemig-rpc-server", daemon=True)
    thread.start()
    return thread
