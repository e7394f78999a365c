"""Receives snapshots in one scheduler process: by fanout, and by a call for the first one.

Nova creates the weighers before it forks its workers, and neither threads nor connections survive
a fork. A process therefore starts to listen right after it was forked, or at its first request.
With eventlet only at its first request: oslo.service replaces eventlet's hub after the fork, and
threads that were started before never run again. The process that forks the workers does not
listen. Nova can also run in one process: without a fork,
it starts ``UNFORKED`` seconds after the weigher was created. All of this happens in daemon threads:
Nova never waits for the bus.
"""

from __future__ import annotations

import _thread
import os
import socket
import threading
import time
import types
import uuid
from typing import Any, Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.conf import scheduler, values
from nova_cachemig.rpc import snapshots
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.forecaster import ForecasterClient
from nova_cachemig.rpc.server import RpcServer
from nova_cachemig.scheduler.estimate import Estimator
from nova_cachemig.scheduler.holder import STALE, SnapshotHolder

LOG = log.getLogger(__name__)

UNFORKED: Final = 3.0
"""Seconds without a fork after which a process is taken not to fork at all."""

GRACE: Final = 10.0
"""Seconds without a snapshot, from the start, after which a warning is logged."""

REMEDY: Final = (
    "check that nova-cachemig-forecaster runs, and that [cachemig_scheduler] transport_url, topic "
    "and forecaster_topic agree with its file (nova-cachemig-manage doctor --nova-conf)"
)


def native_threads() -> bool:
    """Whether threads are those of the system, and not eventlet's."""
    return isinstance(_thread.start_new_thread, types.BuiltinFunctionType)


class Consumer:
    """Fills a holder with snapshots; one per configuration and process."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._server: RpcServer | None = None
        self._stopped = threading.Event()
        self._since = 0.0
        self._why = "no snapshot arrives"
        self.faults = Faults()
        self.holder = SnapshotHolder(self.faults)
        self.estimator = Estimator()

    def ensure(self) -> None:
        """Start to listen unless this process does already. Cheap, never raises, never waits."""
        if self._server is not None and self._pid == os.getpid():
            return
        try:
            self._begin()
        except Exception as exc:  # Nova must go on scheduling, whatever the error
            self.faults.note("cannot listen for snapshots", exc, trace=True)

    def note_missing(self) -> None:
        """Note that there is no fresh snapshot, unless the first one may still arrive."""
        if time.monotonic() - self._since >= GRACE:
            self.faults.note(STALE, f"{self._why}: {REMEDY}")

    def stop(self) -> None:
        """Stop listening."""
        self._stopped.set()
        if self._server is not None:
            self._server.stop()

    def before_fork(self) -> None:
        """Stop: a process that forks workers does not schedule. A request starts it again."""
        self._stopped.set()
        server, self._server = self._server, None
        if server is not None:
            server.stop(0.0)

    def forked(self) -> None:
        """Start again in a forked process: threads and locks of the parent are gone."""
        self._reset()
        if native_threads():
            self.ensure()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._server = None
        self._stopped = threading.Event()
        self._why = "no snapshot arrives"
        self.faults = Faults()
        self.holder = SnapshotHolder(self.faults)
        self.estimator = Estimator()

    def _begin(self) -> None:
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            if self._server is not None:
                return
            options = self._conf.cachemig_scheduler
            name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
            self._server = snapshots.server(
                self._conf, options.topic, name, options.transport_url, self.holder.put
            )
            self._since = time.monotonic()
            self._stopped = threading.Event()
            self._server.start()
            threading.Thread(
                target=self._request_snapshots,
                args=(options, self._server, self._stopped),
                name="cachemig-first-snapshot",
                daemon=True,
            ).start()

    def _request_snapshots(self, options: Any, server: RpcServer, stopped: threading.Event) -> None:
        """Request a snapshot at intervals while there is no fresh one."""
        client = ForecasterClient(
            self._conf,
            options.forecaster_topic,
            options.transport_url,
            options.request_timeout,
        )
        # First listen, then ask: no snapshot is missed.
        server.wait_listening(options.request_timeout)
        while not stopped.is_set():
            if self.holder.fresh(options.max_age) is None:
                self._request(client)
            if self.holder.fresh(options.max_age) is None:
                self.note_missing()
            stopped.wait(options.request_interval)

    def _request(self, client: ForecasterClient) -> None:
        try:
            snapshot = client.request_snapshot()
            self._why = "the forecaster has no forecast yet"
            if snapshot is not None:
                self.holder.put(snapshot)
        except Exception as exc:  # oslo.messaging, its driver, or a timeout
            self._why = f"the forecaster does not respond ({type(exc).__name__}: {exc})"


_consumers: dict[int, Consumer] = {}
_armed: list[threading.Event] = []


def shared(conf: cfg.ConfigOpts) -> Consumer:
    """Return this process's consumer for the configuration; create it if there is none.

    Registers [cachemig_scheduler].
    """
    consumer = _consumers.get(id(conf))
    if consumer is None:
        scheduler.register(conf)
        for sentence in values.use_defaults(conf, scheduler.GROUP.name):
            LOG.error("cachemig: %s. The default is used instead", sentence)
        consumer = _consumers[id(conf)] = Consumer(conf)
        _arm(consumer)
    return consumer


def forget(conf: cfg.ConfigOpts) -> None:
    """Stop and forget the consumer of the configuration. For tests."""
    consumer = _consumers.pop(id(conf), None)
    if consumer is not None:
        consumer.stop()


def _arm(consumer: Consumer) -> None:
    """Start to listen after ``UNFORKED`` seconds unless this process forks workers."""
    off = threading.Event()
    _armed.append(off)

    def begin() -> None:
        if not off.wait(UNFORKED) and _consumers.get(id(consumer._conf)) is consumer:
            consumer.ensure()

    threading.Thread(target=begin, name="cachemig-unforked", daemon=True).start()


def _before_fork() -> None:
    for off in _armed:
        off.set()
    _armed.clear()
    for consumer in _consumers.values():
        consumer.before_fork()


def _in_child() -> None:
    _armed.clear()
    for consumer in _consumers.values():
        consumer.forked()


os.register_at_fork(before=_before_fork, after_in_child=_in_child)
