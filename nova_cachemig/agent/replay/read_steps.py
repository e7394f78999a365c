"""The machine's actions on the reads that must follow a write."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, cast

from nova_cachemig.agent.replay.entries import Request
from nova_cachemig.agent.replay.performer import Performer
from nova_cachemig.model.write import AcceptedWrite, GuestResponse
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.entry import Entry


class Reads(Protocol):
    """The reads that must follow a write (``agent/intake``)."""

    def hold(
        self, name: object, url: str, client: str, then: Callable[[], None], also: tuple[str, ...]
    ) -> None:
        """Hold them, under a name. Call ``then`` when the edge does."""

    def rename(self, name: object, position: int) -> None:
        """The write has a position, which is its name from now on."""

    def release(
        self,
        position: object,
        write: AcceptedWrite | None,
        response: GuestResponse | None,
        then: Callable[[], None],
    ) -> None:
        """The write has ended: release them, and call ``then``. ``write``: None if unreadable."""

    def keep_only(self, wanted: Callable[[object], bool]) -> None:
        """Release all reads but those of the writes with these names."""


class ReadSteps:
    """The steps of one service."""

    def __init__(self, performer: Performer, reads: Reads) -> None:
        self._performer = performer
        self._machine = performer.machine
        self._reads = reads
        performer.do |= {
            act.HoldReads: self._hold_reads,
            act.ReleaseReads: self._release_reads,
            act.ResetReads: self._reset_reads,
        }

    def _hold_reads(self, a: act.HoldReads) -> None:
        entry = a.entry
        then = functools.partial(self._reads_held, a.token, entry)
        self._reads.hold(a.token, cast(str, entry.page), entry.client, then, entry.also)

    def _reads_held(self, token: Any, entry: Entry) -> None:
        if self._performer.stopped:
            return
        if isinstance(token, Request) and not token.gone and not token.is_connected():
            token.gone = True
            self._performer.perform(self._machine.leave(token, self._performer.now()))
        actions = self._machine.reads_held(token, self._performer.now())
        if entry.position:
            self._reads.rename(token, entry.position)
        self._performer.perform(actions)

    def _release_reads(self, a: act.ReleaseReads) -> None:
        entry = a.entry
        write = entry.write if isinstance(entry.write, AcceptedWrite) else None
        name = entry.position or entry.token
        then = functools.partial(self._reads_released, entry)
        self._reads.release(name, write, a.response, then)

    def _reads_released(self, entry: Entry) -> None:
        if entry.position:
            self._performer.perform(self._machine.reads_released(entry.position))
        elif isinstance(entry.token, Request):  # the client left before the write was stored
            entry.token.tell(act.Tell(None, act.Told.REFUSED, 0, why="The client has left."))

    def _reset_reads(self, _a: act.ResetReads) -> None:
        """The writes on disk up to a position were abandoned."""
        s, kept = self._machine.state, set[object]()
        for pool in (s.holding, s.pending, s.unknown, s.recording, s.quarantining):
            kept.update(pool)

        def wanted(name: object) -> bool:
            return name in kept or (isinstance(name, int) and name > s.abandoned_through)

        self._reads.keep_only(wanted)
