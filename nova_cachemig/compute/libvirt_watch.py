"""Listens, read-only, to libvirt for as long as its process lives."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from oslo_log import log

from nova_cachemig.compute.tracker import Lifecycle, Started, Tracker
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.faults import Faults

LOG = log.getLogger(__name__)

_WAKE_MS: Final = 1000
"""How often the loop looks whether it has lost its connection."""
_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0)
_KEEPALIVE: Final = (5, 3)
"""Seconds between questions, unanswered ones that end the connection: a libvirtd that hangs."""


class LibvirtWatch:
    """One connection, opened again whenever it is lost. Runs libvirt's own event loop.

    ``libvirt`` is the module; ``tell`` takes an event and must not wait; ``warm_up`` is called when
    a migration has begun whose events are soon to be told.
    """

    def __init__(
        self,
        libvirt: Any,
        uri: str,
        host: str,
        tell: Callable[[GuestEvent], object],
        warm_up: Callable[[], object],
        faults: Faults,
    ) -> None:
        self._libvirt = libvirt
        self._uri = uri
        self._tell = tell
        self._warm_up = warm_up
        self._faults = faults
        self._tracker = Tracker(host)
        self._connection: Any = None
        self._lost = False
        self._next_try = 0.0
        self._tries = 0

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Listen until ``until()``, which is asked at least every second."""
        libvirt = self._libvirt
        libvirt.registerErrorHandler(lambda context, error: None, None)  # else: to stderr
        libvirt.virEventRegisterDefaultImpl()
        timer = libvirt.virEventAddTimeout(_WAKE_MS, lambda timer, opaque: None, None)
        try:
            while not until():
                self._ensure_connected()
                libvirt.virEventRunDefaultImpl()
        finally:
            libvirt.virEventRemoveTimeout(timer)
            self._close()

    def _ensure_connected(self) -> None:
        if self._lost:
            self._close()
        if self._connection is not None or time.monotonic() < self._next_try:
            return
        try:
            self._open()
        except self._libvirt.libvirtError as exc:
            self._close()
            self._faults.note("cannot listen to libvirt", f"{self._uri}: {exc}")
            self._next_try = time.monotonic() + _BACKOFF[min(self._tries, len(_BACKOFF) - 1)]
            self._tries += 1
        else:
            self._tries = 0
            self._faults.recovered("cannot listen to libvirt")
            LOG.info("listening to libvirt at %s", self._uri)

    def _open(self) -> None:
        libvirt = self._libvirt
        self._lost = False
        connection = self._connection = libvirt.openReadOnly(self._uri)
        connection.registerCloseCallback(self._on_close, None)
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None
        )
        self._try(connection.setKeepAlive, *_KEEPALIVE)
        iteration = libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION
        self._try(connection.domainEventRegisterAny, None, iteration, self._on_iteration, None)
        self._catch_up(connection)

    def _try(self, ask: Callable[..., object], *arguments: object) -> None:
        """The pauses are what matters; a driver of libvirt's may lack the rest."""
        try:
            ask(*arguments)
        except self._libvirt.libvirtError as exc:
            LOG.debug("libvirt at %s: %s", self._uri, exc)

    def _catch_up(self, connection: Any) -> None:
        """While there was no connection a switchover may have failed."""
        for instance in self._tracker.paused():
            try:
                state, _reason = connection.lookupByUUIDString(instance).state()
            except self._libvirt.libvirtError:
                self._tracker.gone(instance)
                continue
            if state == self._libvirt.VIR_DOMAIN_RUNNING:
                self._pass_on(self._tracker.runs_here(instance, time.time()))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close()
        except self._libvirt.libvirtError as exc:
            LOG.debug("closing a lost connection to libvirt: %s", exc)

    def _on_close(self, connection: Any, reason: int, opaque: Any) -> None:
        self._lost = True
        self._faults.note("lost the connection to libvirt", f"reason {reason}")

    def _on_lifecycle(
        self, connection: Any, domain: Any, event: int, detail: int, opaque: Any
    ) -> None:
        at = time.time()
        self._pass_on(self._tracker.lifecycle(domain.UUIDString(), event, detail, at))
        if event == Lifecycle.STARTED and detail == Started.MIGRATED:
            self._warm_up()

    def _on_iteration(self, connection: Any, domain: Any, number: int, opaque: Any) -> None:
        self._tracker.iteration(domain.UUIDString())

    def _pass_on(self, event: GuestEvent | None) -> None:
        if event is not None:
            self._tell(event)  # first: every millisecond counts
            LOG.info("guest %s: %s (%s)", event.instance, event.kind, event.detail)
