"""Listens to libvirt's events over a read-only connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from oslo_log import log

from nova_cachemig.compute import libvirt_auth
from nova_cachemig.compute.tracker import Lifecycle, Started, Tracker
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.faults import Faults

LOG = log.getLogger(__name__)

_WAKE_MS: Final = 1000
"""Milliseconds between two checks of whether the connection is lost."""
_BACKOFF: Final = (1.0, 2.0, 5.0, 10.0)
"""Seconds after each failed attempt to connect; the last one repeats."""
_BACKOFF_REFUSED: Final = (5.0, 15.0, 60.0)
"""The same if libvirt refuses the credentials: it logs an error each time."""
_KEEPALIVE: Final = (5, 3)
"""Seconds between keepalive requests; missing responses after which libvirtd counts as hung."""


class Listener(Protocol):
    """Gets all lifecycle events, after ``on_event``. It must neither wait nor raise."""

    def lifecycle(self, domain: Any, event: int, detail: int, at: float) -> None:
        """Handle one event, at this time in UNIX seconds."""

    def lost(self) -> None:
        """Handle the end of the connection: events may be missed."""


class LibvirtWatch:
    """Keeps one connection to libvirt open and runs libvirt's event loop.

    ``libvirt`` is the module. ``on_event`` gets each event of a switchover and must not block.
    ``on_arrival`` is called when an incoming migration begins, so that the channel to the agent is
    open before the first event. ``host`` is the name that Nova has for this host.
    """

    def __init__(
        self,
        libvirt: Any,
        uri: str,
        host: str,
        on_event: Callable[[GuestEvent], object],
        on_arrival: Callable[[], object],
        faults: Faults,
        listener: Listener | None = None,
    ) -> None:
        self._libvirt = libvirt
        self._uri = uri
        self._on_event = on_event
        self._on_arrival = on_arrival
        self._faults = faults
        self._listener = listener
        self._tracker = Tracker(host)
        self._connection: Any = None
        self._lost = False
        self._next_try = 0.0
        self._tries = 0

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Listen until ``until()`` is true, which is checked at least every second."""
        libvirt = self._libvirt
        libvirt.registerErrorHandler(
            lambda context, error: None, None
        )  # the default prints to stderr
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
            advice = libvirt_auth.remedy(self._libvirt, exc)
            self._faults.note("cannot listen to libvirt", f"{self._uri}: {advice} ({exc})")
            pauses = _BACKOFF_REFUSED if libvirt_auth.refused(self._libvirt, exc) else _BACKOFF
            self._next_try = time.monotonic() + pauses[min(self._tries, len(pauses) - 1)]
            self._tries += 1
        else:
            self._tries = 0
            self._faults.recovered("cannot listen to libvirt")
            LOG.info("cachemig: listening to libvirt at %s", self._uri)

    def _open(self) -> None:
        libvirt = self._libvirt
        self._lost = False
        connection = self._connection = libvirt_auth.open_read_only(libvirt, self._uri)
        connection.registerCloseCallback(self._on_close, None)
        connection.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None
        )
        try:
            connection.setKeepAlive(*_KEEPALIVE)
        except libvirt.libvirtError as exc:  # a driver in this process has none
            LOG.debug("cachemig: libvirt at %s: %s", self._uri, exc)
        self._catch_up(connection)

    def _catch_up(self, connection: Any) -> None:
        """Find the switchovers that failed while there was no connection."""
        for instance in self._tracker.paused():
            try:
                state, _reason = connection.lookupByUUIDString(instance).state()
            except self._libvirt.libvirtError:
                self._tracker.not_found(instance)
                continue
            if state == self._libvirt.VIR_DOMAIN_RUNNING:
                self._report(self._tracker.found_running(instance, time.time()))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._listener is not None:
            self._listener.lost()
        try:
            connection.close()
        except self._libvirt.libvirtError as exc:
            LOG.debug("cachemig: closing a lost connection to libvirt: %s", exc)

    def _on_close(self, connection: Any, reason: int, opaque: Any) -> None:
        self._lost = True
        self._faults.note("lost the connection to libvirt", f"reason {reason}")

    def _on_lifecycle(
        self, connection: Any, domain: Any, event: int, detail: int, opaque: Any
    ) -> None:
        at = time.time()
        self._report(self._tracker.lifecycle(domain.UUIDString(), event, detail, at))
        if self._listener is not None:
            self._listener.lifecycle(domain, event, detail, at)
        if event == Lifecycle.STARTED and detail == Started.MIGRATED:
            self._on_arrival()

    def _report(self, event: GuestEvent | None) -> None:
        if event is not None:
            self._on_event(event)  # before the log: every millisecond counts
            LOG.info("cachemig: guest %s: %s (%s)", event.instance, event.kind, event.detail)
