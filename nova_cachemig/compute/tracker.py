"""libvirt's events about domains → what the agent is told. No libvirt, no I/O, no clock."""

from __future__ import annotations

import dataclasses
import enum

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent


class Lifecycle(enum.IntEnum):
    """Of virDomainEventType; the numbers are libvirt's ABI, and so are those below."""

    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5


class Started(enum.IntEnum):
    """virDomainEventStartedDetailType."""

    MIGRATED = 1


class Suspended(enum.IntEnum):
    """virDomainEventSuspendedDetailType."""

    PAUSED = 0
    MIGRATED = 1
    POSTCOPY = 7
    POSTCOPY_FAILED = 8


class Resumed(enum.IntEnum):
    """virDomainEventResumedDetailType."""

    MIGRATED = 1
    POSTCOPY = 3


_SWITCHOVER = {
    Suspended.MIGRATED: "suspended_migrated",
    Suspended.POSTCOPY: "suspended_postcopy",
    Suspended.POSTCOPY_FAILED: "suspended_postcopy_failed",
}
_POST_COPY = frozenset({"suspended_postcopy", "suspended_postcopy_failed", "resumed_postcopy"})
_ARRIVAL = {Resumed.MIGRATED: "resumed_migrated", Resumed.POSTCOPY: "resumed_postcopy"}


@dataclasses.dataclass(slots=True)
class _Leaving:
    """A domain that is migrated away from here."""

    paused: bool = False


class Tracker:
    """Knows which domains leave this host and which arrive, and forgets the rest.

    On the source: rounds of memory copy, SUSPENDED for the switchover, then STOPPED, or RESUMED if
    it failed. On the destination: STARTED, paused until it is RESUMED. Nova's force-complete
    pauses a leaving guest by an ordinary suspend, which is a switchover for its users too.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._leaving: dict[str, _Leaving] = {}
        self._arriving: set[str] = set()

    def iteration(self, instance: str) -> None:
        """A round of memory copy began on the source: the domain is leaving."""
        self._leaving.setdefault(instance, _Leaving())

    def lifecycle(self, instance: str, event: int, detail: int, at: float) -> GuestEvent | None:
        """What the agent should know of a lifecycle event; None: nothing."""
        if event == Lifecycle.SUSPENDED:
            return self._suspended(instance, detail, at)
        if event == Lifecycle.RESUMED:
            return self._resumed(instance, detail, at)
        self._forget(instance)
        if event == Lifecycle.STARTED and detail == Started.MIGRATED:
            self._arriving.add(instance)
        return None

    def paused(self) -> tuple[str, ...]:
        """Instances that were paused here for a switchover of which nothing more was heard."""
        return tuple(name for name, leaving in self._leaving.items() if leaving.paused)

    def runs_here(self, instance: str, at: float) -> GuestEvent | None:
        """libvirt, asked after events were missed, says that the domain runs on this host."""
        return self._resumed(instance, Resumed.MIGRATED, at)

    def gone(self, instance: str) -> None:
        """libvirt, asked after events were missed, knows no such domain."""
        self._forget(instance)

    def _suspended(self, instance: str, detail: int, at: float) -> GuestEvent | None:
        if instance in self._arriving:
            return None  # it has not run here yet
        leaving = self._leaving.get(instance)
        name = _SWITCHOVER.get(Suspended(detail)) if detail in _SWITCHOVER else None
        if name is None and detail == Suspended.PAUSED and leaving is not None:
            name = "suspended_while_migrating"
        if name is None:
            return None
        if detail != Suspended.POSTCOPY_FAILED:  # that one is told on both hosts
            self._leaving[instance] = _Leaving(paused=True)
        return self._event(instance, EventKind.PAUSED, at, name)

    def _resumed(self, instance: str, detail: int, at: float) -> GuestEvent | None:
        leaving = self._leaving.pop(instance, None)
        self._arriving.discard(instance)
        if leaving is not None and leaving.paused:
            return self._event(instance, EventKind.SWITCHOVER_FAILED, at, "resumed")
        if detail in _ARRIVAL:
            return self._event(instance, EventKind.RESUMED, at, _ARRIVAL[Resumed(detail)])
        return None

    def _forget(self, instance: str) -> None:
        self._leaving.pop(instance, None)
        self._arriving.discard(instance)

    def _event(self, instance: str, kind: EventKind, at: float, detail: str) -> GuestEvent:
        post_copy = detail in _POST_COPY
        return GuestEvent(instance, kind, at, self._host, None, detail, post_copy)
