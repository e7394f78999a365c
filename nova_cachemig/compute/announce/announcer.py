"""Performs the actions of the plan. Nothing here delays a migration or makes one fail.

libvirt's thread and the message bus's threads only send: to sockets that were opened before, and
without waiting. Everything else is done by the worker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from oslo_log import log

from nova_cachemig.compute.announce.domain import nics
from nova_cachemig.compute.announce.frames import Nic
from nova_cachemig.compute.announce.plan import Action, Plan
from nova_cachemig.compute.announce.worker import Worker
from nova_cachemig.rpc.faults import Faults

LOG = log.getLogger(__name__)

REPEAT: Final = (0.05, 0.2)
"""Seconds after the first announcement at which it is repeated: a network may lose a frame."""
_LINGER: Final = 0.5
"""Seconds after which nothing is left to repeat."""
_END_LIMIT: Final = 1.0


class Port(Protocol):
    """One NIC's way into the network: see :class:`.tap.TapPort`."""

    @property
    def tap(self) -> str: ...

    def send(self) -> int: ...

    def close(self) -> None: ...


class _Guest:
    """The open ports of one guest in one migration."""

    def __init__(self, instance: str) -> None:
        self.instance = instance
        self.lock = threading.Lock()
        self.ports: list[Port] = []
        self.paused: float | None = None  # since when it must be announced
        self.over = False
        self.sent = 0  # frames


class Announcer:
    """Hears libvirt's events on this host, and the pauses on others; announces guests.

    ``tell`` sends the news of a pause to all hosts and must not wait. ``open_port`` may wait.
    ``wall`` is UNIX time.
    """

    def __init__(
        self,
        tell: Callable[[str, float], object],
        open_port: Callable[[Nic], Port],
        faults: Faults,
        *,
        worker: Worker | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._tell = tell
        self._open_port = open_port
        self._faults = faults
        self._wall = wall
        self._worker = worker or Worker(faults)
        self._plan = Plan()
        self._guests: dict[str, _Guest] = {}
        self._lock = threading.Lock()

    def lifecycle(self, domain: Any, event: int, detail: int, at: float) -> None:
        """Handle an event of libvirt. Never waits and never raises."""
        try:
            instance = domain.UUIDString()
            with self._lock:
                actions = self._plan.lifecycle(instance, event, detail, at)
            for action in actions:
                self._perform(action, instance, domain, at)
        except Exception as exc:
            self._faults.note(f"a guest is not announced ({type(exc).__name__})", exc)

    def heard(self, instance: str, paused: float) -> None:
        """Handle the news that a guest was paused on another host. Never waits."""
        with self._lock:
            wanted = Action.ANNOUNCE in self._plan.heard(instance, paused, self._wall())
            guest = self._guests.get(instance)
        if wanted and guest is not None:
            self._announce(guest, paused)

    def lost(self) -> None:
        """Forget all guests: the connection to libvirt is lost, and so may be events."""
        with self._lock:
            known = self._plan.known()
            self._plan.drop_all()
        for instance in known:
            self._end(instance, 0.0)

    def close(self) -> None:
        """Remove all devices, within a second."""
        self._worker.stop(_END_LIMIT)
        for instance in list(self._guests):
            self._close(self._guests[instance])

    def _perform(self, action: Action, instance: str, domain: Any, at: float) -> None:
        if action is Action.TELL:
            self._tell(instance, at)
        elif action is Action.PREPARE:
            self._end(instance, 0.0)
            guest = self._guests[instance] = _Guest(instance)
            self._worker.put(lambda: self._prepare(guest, domain))
        elif action is Action.ANNOUNCE:
            if (known := self._guests.get(instance)) is not None:
                self._announce(known, at)
        else:
            self._end(instance, _LINGER if action is Action.RELEASE else 0.0)

    def _announce(self, guest: _Guest, since: float) -> None:
        with guest.lock:
            first, guest.paused = guest.paused is None, since
        if first:
            self._send(guest)
            for delay in REPEAT:
                self._worker.put(lambda: self._send(guest), delay)

    def _send(self, guest: _Guest) -> None:
        """Send all frames of a guest; the worker sends them later if nothing is open yet."""
        sent, taps = 0, []
        with guest.lock:
            if guest.over or guest.paused is None:
                return
            for port in guest.ports:
                try:
                    sent += port.send()
                    taps.append(port.tap)
                except OSError as exc:
                    self._faults.note("a guest was not announced", f"{port.tap}: {exc}")
            after = (self._wall() - guest.paused) * 1000
            first = not guest.sent
            guest.sent += sent
        if sent and first:
            LOG.info(
                "cachemig: guest %s: announced from %s: %d frames, %.1f ms after the event",
                guest.instance,
                ", ".join(taps),
                sent,
                after,
            )

    def _prepare(self, guest: _Guest, domain: Any) -> None:
        opened = self._open_all(guest, nics(domain.XMLDesc(0)))
        with guest.lock:
            guest.ports += opened
            late, over = guest.paused is not None, guest.over
        if over:
            self._close(guest)
        elif late:
            self._send(guest)

    def _open_all(self, guest: _Guest, found: Sequence[Nic]) -> list[Port]:
        opened: list[Port] = []
        for nic in found:
            if guest.over:
                break
            try:
                opened.append(self._open_port(nic))
            except Exception as exc:  # of pyroute2, or OSError: the other NICs may work
                self._faults.note("a guest cannot be announced", f"{nic.tap}: {exc}")
        return opened

    def _end(self, instance: str, delay: float) -> None:
        guest = self._guests.get(instance)
        if guest is None:
            return
        if not delay:
            guest.over = True  # no repetition from now on
        self._worker.put(lambda: self._close(guest), delay)

    def _close(self, guest: _Guest) -> None:
        with guest.lock:
            guest.over = True
            ports, guest.ports = guest.ports, []
        if self._guests.get(guest.instance) is guest:
            self._guests.pop(guest.instance, None)
        for port in ports:
            port.close()
