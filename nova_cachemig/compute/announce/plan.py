"""Decides what to do about the announcement of guests. No libvirt, no I/O, no clock."""

from __future__ import annotations

import enum
from typing import Final

from nova_cachemig.compute.tracker import Lifecycle, Started, Suspended

MAX_GUESTS: Final = 200
"""Guests that arrive at the same time; more are not announced."""
MAX_AGE: Final = 10.0
"""Seconds after which the news of a pause is too old. Clocks of hosts differ by less."""
_SKEW: Final = 1.0
"""Seconds by which the source's clock may be behind: a pause comes after the arrival."""


class Action(enum.Enum):
    """The actions, in the order in which they must be performed."""

    TELL = "tell"  # all hosts: one of them is the destination
    PREPARE = "prepare"  # the way into the network through the guest's taps
    ANNOUNCE = "announce"
    RELEASE = "release"  # undo PREPARE after the announcement has been repeated
    FORGET = "forget"  # undo PREPARE now, and repeat nothing


class Plan:
    """Knows which guests arrive on this host and which are paused here for their switchover.

    Times are UNIX seconds.
    """

    def __init__(self) -> None:
        self._arrived: dict[str, float] = {}
        self._paused: set[str] = set()

    def lifecycle(self, instance: str, event: int, detail: int, at: float) -> tuple[Action, ...]:
        """Return the actions for an event of libvirt."""
        if event == Lifecycle.SUSPENDED:
            return self._suspended(instance, detail)
        if event == Lifecycle.RESUMED:
            return self._resumed(instance)
        if event == Lifecycle.STARTED and detail == Started.MIGRATED:
            return self._arrives(instance, at)
        if event in {Lifecycle.STARTED, Lifecycle.STOPPED} and self._drop(instance):
            return (Action.FORGET,)
        return ()

    def heard(self, instance: str, paused: float, now: float) -> tuple[Action, ...]:
        """Return the actions for the news that a guest was paused on another host."""
        arrived = self._arrived.get(instance)
        if arrived is None or paused < arrived - _SKEW or abs(now - paused) > MAX_AGE:
            return ()
        return (Action.ANNOUNCE,)

    def known(self) -> tuple[str, ...]:
        """Return the guests that are in a migration here."""
        return (*self._arrived, *self._paused)

    def drop_all(self) -> None:
        """Forget all guests: events may have been missed."""
        self._arrived.clear()
        self._paused.clear()

    def _suspended(self, instance: str, detail: int) -> tuple[Action, ...]:
        switchover = detail in {Suspended.MIGRATED, Suspended.POSTCOPY}
        if not switchover or instance in self._arrived or instance in self._paused:
            return ()  # libvirt reports a post-copy twice
        self._paused.add(instance)
        return Action.TELL, Action.PREPARE

    def _resumed(self, instance: str) -> tuple[Action, ...]:
        rollback = instance in self._paused
        if not self._drop(instance):
            return ()
        return (Action.ANNOUNCE, Action.RELEASE) if rollback else (Action.RELEASE,)

    def _arrives(self, instance: str, at: float) -> tuple[Action, ...]:
        self._drop(instance)
        if len(self._arrived) >= MAX_GUESTS:
            return (Action.FORGET,)
        self._arrived[instance] = at
        return (Action.PREPARE,)

    def _drop(self, instance: str) -> bool:
        known = instance in self._arrived or instance in self._paused
        self._arrived.pop(instance, None)
        self._paused.discard(instance)
        return known
