"""Turns libvirt's events about domains into guest events. No libvirt, no I/O, no clock."""

from __future__ import annotations

import enum

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent


class Lifecycle(enum.IntEnum):
    """Part of virDomainEventType. These numbers and those below are libvirt's ABI."""

    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5


class Started(enum.IntEnum):
    """Part of virDomainEventStartedDetailType."""

    MIGRATED = 1


class Suspended(enum.IntEnum):
    """Part of virDomainEventSuspendedDetailType."""

    MIGRATED = 1
    POSTCOPY = 7
    POSTCOPY_FAILED = 8


class Resumed(enum.IntEnum):
    """Part of virDomainEventResumedDetailType."""

    MIGRATED = 1
    POSTCOPY = 3


_SWITCHOVER = {
    Suspended.MIGRATED: "suspended_migrated",
    Suspended.POSTCOPY: "suspended_postcopy",
    Suspended.POSTCOPY_FAILED: "suspended_postcopy_failed",
}
_POST_COPY = frozenset({"suspended_postcopy", "suspended_postcopy_failed", "resumed_postcopy"})
_ARRIVAL = {Resumed.MIGRATED: "resumed_migrated", Resumed.POSTCOPY: "resumed_postcopy"}


class Tracker:
    """Knows which domains are in a switchover on this host and which are arriving.

    On the source, the domain is SUSPENDED for the switchover, and then STOPPED, or RESUMED if the
    switchover failed. On the destination, it is STARTED and stays paused until it is RESUMED.
    Nova's force-complete suspends the domain on the source, which libvirt reports like any
    other switchover. A post-copy is reported twice on both sides, with the detail of a pre-copy and
    with its own.

    Times (``at``) are UNIX seconds. ``host`` is Nova's name of this host.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._paused: set[str] = set()
        self._arriving: set[str] = set()

    def lifecycle(self, instance: str, event: int, detail: int, at: float) -> GuestEvent | None:
        """Return the event to report to the agent for a lifecycle event, or None."""
        if event == Lifecycle.SUSPENDED:
            return self._suspended(instance, detail, at)
        if event == Lifecycle.RESUMED:
            return self._resumed(instance, detail, at)
        self._forget(instance)
        if event == Lifecycle.STARTED and detail == Started.MIGRATED:
            self._arriving.add(instance)
        return None

    def paused(self) -> tuple[str, ...]:
        """Instances that are paused for a switchover whose end has not been seen."""
        return tuple(self._paused)

    def found_running(self, instance: str, at: float) -> GuestEvent | None:
        """After events were missed, libvirt reports that the domain runs on this host."""
        return self._resumed(instance, Resumed.MIGRATED, at)

    def not_found(self, instance: str) -> None:
        """After events were missed, libvirt reports that there is no such domain."""
        self._forget(instance)

    def _suspended(self, instance: str, detail: int, at: float) -> GuestEvent | None:
        if instance in self._arriving or detail not in _SWITCHOVER:
            return None  # it has not run here yet, or this is no switchover
        if detail != Suspended.POSTCOPY_FAILED:  # both hosts report that one
            self._paused.add(instance)
        return self._event(instance, EventKind.PAUSED, at, _SWITCHOVER[Suspended(detail)])

    def _resumed(self, instance: str, detail: int, at: float) -> GuestEvent | None:
        paused = instance in self._paused
        self._forget(instance)
        if paused:
            return self._event(instance, EventKind.SWITCHOVER_FAILED, at, "resumed")
        if detail in _ARRIVAL:
            return self._event(instance, EventKind.RESUMED, at, _ARRIVAL[Resumed(detail)])
        return None

    def _forget(self, instance: str) -> None:
        self._paused.discard(instance)
        self._arriving.discard(instance)

    def _event(self, instance: str, kind: EventKind, at: float, detail: str) -> GuestEvent:
        post_copy = detail in _POST_COPY
        return GuestEvent(instance, kind, at, self._host, None, detail, post_copy)
