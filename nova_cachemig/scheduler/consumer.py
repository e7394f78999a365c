"""Fetches snapshots for one scheduler process: fanout, and one call for the first.

Weighers are made before Nova forks its workers, and neither threads nor connections survive a
fork. So a process begins to listen when it weighs for the first time, or as soon as it has been
forked, or a few seconds after the weigher was made if nothing was forked until then (Nova may
work in one process). All of it happens in daemon threads: whatever the bus does, Nova does not
wait.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from typing import Any, Final

from oslo_config import cfg

from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.forecast import ForecasterClient, SnapshotServer
from nova_cachemig.scheduler.holder import SnapshotHolder
from nova_cachemig.scheduler.outlook import Outlook

UNFORKED: Final = 3.0
"""Seconds after which a process that has not forked is taken for one that will not."""

ASKING: Final = "the forecaster does not answer"


class Consumer:
    """Fills a holder; made for one configuration."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._server: SnapshotServer | None = None
        self._stopped = threading.Event()
        self.faults = Faults()
        self.holder = SnapshotHolder(self.faults)
        self.outlook = Outlook()

    def ensure(self) -> None:
        """Listen, if this process does not yet. Cheap when it does; never raises, never waits."""
        if self._server is not None and self._pid == os.getpid():
            return
        try:
            self._begin()
        except Exception as exc:  # whatever is wrong, Nova schedules
            self.faults.note("cannot listen for snapshots", exc, trace=True)

    def stop(self) -> None:
        """Listen no more."""
        self._stopped.set()
        if self._server is not None:
            self._server.stop()

    def forked(self) -> None:
        """This is a new process: nothing of the old one's threads and locks is left."""
        self._reset()
        self.ensure()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._server = None
        self._stopped = threading.Event()
        self.faults = Faults()
        self.holder = SnapshotHolder(self.faults)
        self.outlook = Outlook()

    def _begin(self) -> None:
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            if self._server is not None:
                return
            options = self._conf.cachemig_scheduler
            name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
            self._server = SnapshotServer(
                self._conf, options.topic, name, options.transport_url, self.holder.put
            )
            self._server.start()
            threading.Thread(
                target=self._ask, args=(options,), name="cachemig-first-snapshot", daemon=True
            ).start()

    def _ask(self, options: Any) -> None:
        """As long as there is no fresh snapshot, ask for one now and then."""
        client = ForecasterClient(
            self._conf,
            options.forecaster_topic,
            options.transport_url,
            options.request_timeout,
        )
        stopped, server = self._stopped, self._server
        assert server is not None
        server.started.wait(options.request_timeout)  # so that what comes after it is not missed
        while not stopped.is_set():
            if self.holder.fresh(options.max_age) is None:
                try:
                    snapshot = client.request_snapshot()
                    if snapshot is not None:
                        self.holder.put(snapshot)
                    self.faults.recovered(ASKING)
                except Exception as exc:  # oslo.messaging, the driver, the time being up
                    self.faults.note(ASKING, f"{type(exc).__name__}: {exc}")
            stopped.wait(options.request_interval)


_consumers: dict[int, Consumer] = {}
_armed: list[threading.Event] = []


def shared(conf: cfg.ConfigOpts) -> Consumer:
    """The one consumer of this process for that configuration."""
    consumer = _consumers.get(id(conf))
    if consumer is None:
        consumer = _consumers[id(conf)] = Consumer(conf)
        _arm(consumer)
    return consumer


def forget(conf: cfg.ConfigOpts) -> None:
    """Stop the consumer of that configuration and make a new one next time. For tests."""
    consumer = _consumers.pop(id(conf), None)
    if consumer is not None:
        consumer.stop()


def _arm(consumer: Consumer) -> None:
    """Begin after a while, unless this process turns out to be the parent of workers."""
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


def _in_child() -> None:
    _armed.clear()
    for consumer in _consumers.values():
        consumer.forked()


os.register_at_fork(before=_before_fork, after_in_child=_in_child)
