"""The agent's actions on its clients, and on the edge."""

from __future__ import annotations

from typing import Any

from nova_cachemig.model.write import WriteState as S
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.state import INFINITE
from tests.simulating.edge import Outcome, Told
from tests.simulating.entries import FRESH, entry_of, keys_of
from tests.simulating.guest import LATENCY, Answer, Write
from tests.simulating.performing import Performing, Request

EDGE = 0.0003  # seconds for an update of the edge
_TOLD = {
    act.Told.ACCEPTED: Outcome.ACCEPTED,
    act.Told.REFUSED: Outcome.REFUSED,
    act.Told.UNKNOWN: Outcome.UNKNOWN,
    act.Told.IN_DOUBT: Outcome.IN_DOUBT,
}


class ClientActions(Performing):
    """Requests, responses, and the reads that must follow a write."""

    # --- clients

    def take(self, write: Write, body_time: float, leaves: float, early: bool, tell: Told) -> None:
        """Take the head of a request."""
        if not self.opened:
            tell(Outcome.REFUSED, "")
            return
        token = self._agent.token()
        request = self._requests[token] = Request(write, tell)
        self.perform(self.machine.arrive(token))
        if leaves < INFINITE:
            self._loop.later(leaves, self._leave, token)
        if body_time:
            self._loop.later(body_time, self._complete, token, request, early)
        else:
            self._complete(token, request, early)

    def _leave(self, token: int) -> None:
        request = self._requests.pop(token, None)
        if not self._agent.alive or request is None:
            return
        state = self.machine.state
        if token in state.arriving:
            self._keys.discard(request.write.key or "")
            self.perform(self.machine.leave(token, self._loop.now))
        for pool in (state.clients, state.departing):
            for position in [p for p, client in pool.items() if client.token == token]:
                self.perform(self.machine.gone(position))

    def _complete(self, token: int, request: Request, early: bool) -> None:
        if not self._agent.alive or token not in self._requests:
            return
        write = request.write
        if write.key is not None and self._known(token, request):
            return
        if self.guest.honours_keys and write.key is None:
            key = FRESH + write.id
            write = Write(write.id, write.client, write.method, write.page, key)
        entry = entry_of(self._agent.plan, self.name, write, early=False)
        entry.prefers = early
        self.perform(self.machine.submit(token, entry))

    def _known(self, token: int, request: Request) -> bool:
        """Whether the key of the request is known: then its client gets the first response."""
        write = request.write
        position = self._disk.tables.keys.get((self.name, write.key))
        row = None if position is None else self._disk.tables.rows.get((self.name, position))
        if write.key in self._keys or (row is not None and row.state is not S.DISCARDED):
            self._requests.pop(token)
            self.perform(self.machine.leave(token, self._loop.now))
            if row is not None and row.response is not None:
                self._tell(request, row.response)
            else:
                self._loop.later(LATENCY, request.tell, Outcome.RETRY, "")
            return True
        self._keys.add(write.key)
        return False

    def _tell(self, request: Request, answer: Answer) -> None:
        outcome = Outcome.APPLIED if answer.status == 200 else Outcome.FAILED
        self._loop.later(LATENCY, request.tell, outcome, answer.id)

    def cut_clients(self) -> None:
        """The agent is dead: its clients' connections are too."""
        for request in self._requests.values():
            self._loop.later(LATENCY, request.tell, Outcome.UNKNOWN, "")
        for pipe in self.pipes.values():
            pipe.close()

    def _Tell(self, a: act.Tell) -> None:
        request = self._requests.pop(a.token, None)
        if request is None:
            return
        self._keys.discard(request.write.key or "")
        history = self._agent.history
        if a.told is act.Told.RESPONSE:
            history.told_response(self.name, request.write, a.position)
            self._tell(request, a.response)
            return
        if a.told is act.Told.ACCEPTED:
            row = self._disk.tables.rows.get((self.name, a.position))
            soft = row is None or not row.keep
            history.told_accepted(self.name, a.position, request.write, soft=soft)
        elif a.told is act.Told.IN_DOUBT:
            history.told_in_doubt(self.name, a.position, request.write)
        self._loop.later(LATENCY, request.tell, _TOLD[a.told], request.write.id)

    # --- the edge

    def _HoldReads(self, a: act.HoldReads) -> None:
        self._loop.later(EDGE, self._held, a)

    def _held(self, a: act.HoldReads) -> None:
        if not self.edge.up:
            return
        entry = a.entry
        self.edge.hold(
            keys_of(entry), entry.page, id(entry) if not entry.position else entry.position
        )
        if self._agent.alive:
            self.perform(self.machine.reads_held(a.token, self._loop.now))
            # From now on it is known by its position, as on disk.
            self.edge.pending_rename(keys_of(entry), id(entry), entry.position)

    def _ReleaseReads(self, a: act.ReleaseReads) -> None:
        self._loop.later(EDGE, self._released, a.entry)

    def _released(self, entry: Entry) -> None:
        if not self.edge.up:
            return
        self.edge.release(keys_of(entry), entry.page, entry.position or id(entry))
        if self._agent.alive:
            self.perform(self.machine.reads_released(entry.position))

    def _ResetReads(self, _a: act.ResetReads) -> None:
        state = self.machine.state
        held = [(keys_of(e), e.page, id(e)) for e in state.holding.values()]
        for pool in (state.pending, state.unknown, state.releasing, state.recording):
            held += [(keys_of(e), e.page, e.position) for e in pool.values()]
        held += self.held_on_disk()
        self.edge.replace(held)

    def held_on_disk(self) -> list[Any]:
        """Return the writes for which reads are held, as the journal has them."""
        return [
            ((f"url:{row.write.page}", f"client:{row.write.client}"), row.write.page, position)
            for (service, position), row in self._disk.tables.rows.items()
            if service == self.name and row.state is S.ACCEPTED
        ]
