"""The write path of one service: each method is an event, and returns the actions to perform."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from nova_cachemig.replay import acceptance, connections, outcomes, phases, sending, timers
from nova_cachemig.replay.actions import Action
from nova_cachemig.replay.entry import Entry, Token
from nova_cachemig.replay.state import INFINITE, State, Timer

Actions = list[Action]


class Machine:
    """Perform the actions in their order, and report what becomes of each as an event.

    ``now`` is any clock that never goes back, in seconds. Call :meth:`tick` at :attr:`due`. Perform
    the actions of one event before the next one.
    """

    __slots__ = ("state",)

    def __init__(self, state: State) -> None:
        """``state`` is the result of recovery. Writes up to ``state.newest`` may wait there."""
        self.state = state

    def _take(self) -> Actions:
        taken = self.state.out
        self.state.out = []
        return taken

    def _go_on(self, now: float) -> Actions:
        s = self.state
        sending.advance(s, now)
        phases.check(s, now)
        return self._take()

    # --- clients

    def arrive(self, token: Token) -> Actions:
        """A request's head was taken."""
        acceptance.arrive(self.state, token)
        return self._take()

    def leave(self, token: Token, now: float) -> Actions:
        """The request has ended before its write was accepted: it was refused, or cut."""
        acceptance.leave(self.state, token)
        phases.check(self.state, now)
        return self._take()

    def submit(self, token: Token, entry: Entry) -> Actions:
        """The body is complete."""
        acceptance.submit(self.state, token, entry)
        return self._take()

    def resend(self, token: Token, old: int, entry: Entry) -> Actions:
        """The operator wants the quarantined write at position ``old`` sent again."""
        acceptance.resend(self.state, token, old, entry)
        return self._take()

    def reads_held(self, token: Token, now: float) -> Actions:
        """The edge holds the reads that must follow the write."""
        acceptance.reads_held(self.state, token)
        phases.check(self.state, now)
        return self._take()

    def reads_released(self, position: int) -> Actions:
        """The edge holds them no longer."""
        acceptance.reads_released(self.state, position)
        return self._take()

    def gone(self, position: int) -> Actions:
        """The client of an accepted write has disconnected."""
        acceptance.gone(self.state, position)
        return self._take()

    def hold(self, now: float) -> Actions:
        """Send no further write."""
        phases.hold(self.state, now)
        return self._take()

    def stop(self, now: float) -> Actions:
        """The agent stops: every client that waits gets a status URL."""
        s = self.state
        s.stopping = True
        phases.hold(s, now)
        for client in s.clients.values():
            client.deadline = -INFINITE
        acceptance.expire(s, now)
        return self._take()

    # --- the journal

    def appended(self, position: int, now: float, limit: int | None = None) -> Actions:
        """The write is durable; ``limit``: the send limit that was stored with it."""
        acceptance.appended(self.state, position, limit, now)
        return self._go_on(now)

    def refused(self, position: int, why: str, now: float) -> Actions:
        """The write is certainly not on disk."""
        acceptance.refused(self.state, position, why)
        return self._go_on(now)

    def unknown(self, position: int) -> Actions:
        """It is unknown whether the write is on disk. → known"""
        acceptance.unknown(self.state, position)
        return self._take()

    def known(self, position: int, present: bool, now: float) -> Actions:
        """Whether a write is on disk whose acceptance was unknown."""
        acceptance.known(self.state, position, present)
        return self._go_on(now)

    def move_failed(self, position: int, now: float) -> Actions:
        """A write could not be moved yet."""
        acceptance.move_failed(self.state, position, now)
        return self._take()

    def limit_raised(self, limit: int, now: float) -> Actions:
        """The send limit is durable."""
        sending.limit_raised(self.state, limit, now)
        return self._take()

    def limit_failed(self, now: float) -> Actions:
        """The send limit is not durable, or it is unknown."""
        sending.limit_failed(self.state, now)
        return self._take()

    def loaded(self, entries: list[Entry], now: float) -> Actions:
        """A page of accepted writes, in order."""
        sending.loaded(self.state, entries, now)
        return self._go_on(now)

    def load_failed(self, now: float) -> Actions:
        """The page could not be read."""
        sending.load_failed(self.state, now)
        return self._take()

    def checked(self, position: int, intact: bool, now: float) -> Actions:
        """Whether a write's spool file is intact."""
        sending.checked(self.state, position, intact, now)
        return self._take()

    def recorded(self, position: int, now: float) -> Actions:
        """A response is durable."""
        s = self.state
        full = len(s.recording) >= s.limits.max_unrecorded
        outcomes.recorded(s, position)
        if full:  # else no write waits for this one to be on disk
            sending.advance(s, now)
        phases.check(s, now)
        return self._take()

    def record_failed(self, position: int, now: float) -> Actions:
        """A response is not durable, or it is unknown."""
        s = self.state
        s.at(now + s.limits.error_pause, Timer.RECORD, position)
        return self._take()

    def kept(self, position: int) -> Actions:
        """The response to this write will be kept."""
        acceptance.kept(self.state, position)
        return self._take()

    def quarantined(self, position: int, now: float) -> Actions:
        """The quarantine is durable."""
        outcomes.quarantined(self.state, position)
        return self._go_on(now)

    def quarantine_failed(self, position: int, now: float) -> Actions:
        """The quarantine is not durable, or it is unknown."""
        s = self.state
        s.at(now + s.limits.error_pause, Timer.QUARANTINE, position)
        return self._take()

    # --- the guest

    def connected(self, name: Hashable, target: Hashable, now: float) -> Actions:
        """There is a new connection."""
        connections.connected(self.state, name, target, now)
        return self._go_on(now)

    def heard(self, name: Hashable, now: float) -> None:
        """A part of a response has arrived."""
        connection = self.state.connections.get(name)
        if connection is not None:
            connection.last_byte = now
            connection.began_at = connection.began_at or now

    def response(
        self,
        name: Hashable,
        answer: Any,
        now: float,
        *,
        keep_alive: bool = True,
        idle_timeout: float | None = None,
    ) -> Actions:
        """The guest has responded to the oldest write of a connection.

        ``answer``: a GuestResponse. Without ``keep_alive``, :meth:`lost` follows if others are in
        flight on it. ``idle_timeout``: as the guest announced.
        """
        s = self.state
        entry = outcomes.response(s, name, answer, now, keep_alive, idle_timeout)
        sending.advance(s, now)  # first: the guest waits for it
        if entry is not None:
            outcomes.record(s, entry)
        return self._take()

    def bad_response(self, name: Hashable, answer: Any, now: float, why: str) -> Actions:
        """Bytes came that are not HTTP, or exceed a limit: a response anyway, and the last one.

        ``answer``: the 502 that stands for it.
        """
        s = self.state
        entry = outcomes.response(s, name, answer, now, keep_alive=False)
        outcomes.lost(s, name, now, why, blame=entry is None)
        if entry is not None:
            outcomes.record(s, entry)
        return self._go_on(now)

    def lost(
        self, name: Hashable, now: float, why: str, *, unsent: int = 0, processed: bool = True,
        blame: bool = True,
    ) -> Actions:  # fmt: skip
        """A connection is gone: see :func:`outcomes.lost`."""
        outcomes.lost(self.state, name, now, why, unsent=unsent, processed=processed, blame=blame)
        return self._go_on(now)

    def not_logged(self, name: Hashable, position: int, now: float) -> Actions:
        """A write was not sent: the progress log failed. Skip the writes behind it.

        Those are the Send actions whose entry has another connection, or none, by now.
        """
        outcomes.not_logged(self.state, name, position, now)
        return self._take()

    # --- the migration

    def shield(self, now: float) -> Actions:
        """The guest is silent: all writes come to the journal from now on, and wait."""
        phases.shield(self.state, now)
        return self._take()

    def replay(self, target: Hashable, now: float) -> Actions:
        """The guest is reachable: send what waits, and new writes as they come. → CaughtUp"""
        phases.replay(self.state, target, now)
        phases.check(self.state, now)
        return self._take()

    def reach(self, target: Hashable, now: float) -> Actions:
        """The guest is reachable, and in no migration: send what is in the journal."""
        phases.reach(self.state, target, now)
        return self._take()

    def release(self, now: float, patience: float = 0.0) -> Actions:
        """The edge holds new writes. → Released, or NotReleased and CaughtUp later

        ``patience``: seconds for requests that arrive.
        """
        phases.release(self.state, now, patience)
        return self._take()

    def reclaim(self, now: float) -> Actions:
        """The release failed."""
        phases.reclaim(self.state, now)
        return self._take()

    def abandon(self) -> Actions:
        """The deadline has passed: release, and leave what is not applied to the operator."""
        if not self.state.abandoning:
            phases.abandon(self.state)
        return self._take()

    def abandoned(self, now: float) -> Actions:
        """All that was left is quarantined, and durable."""
        phases.abandoned(self.state, now)
        return self._go_on(now)

    def abandon_failed(self, now: float) -> Actions:
        """It is not durable, or it is unknown."""
        s = self.state
        s.at(now + s.limits.error_pause, Timer.ABANDON)
        return self._take()

    # --- time

    @property
    def due(self) -> float:
        """The time of the next :meth:`tick`; infinite if nothing waits for a time."""
        s = self.state
        due = s.timers[0][0] if s.timers else INFINITE
        if s.clients:
            due = min(due, next(iter(s.clients.values())).deadline)
        return due

    def tick(self, now: float) -> Actions:
        """Do what is due."""
        timers.ring(self.state, now)
        acceptance.expire(self.state, now)
        return self._go_on(now)
