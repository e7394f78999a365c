"""A machine whose actions succeed immediately, except those that a test decides about."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

from nova_cachemig.model.write import GuestResponse
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.machine import Machine
from nova_cachemig.replay.state import Limits, State

OK = GuestResponse(200)


def write(client: str = "ann", page: str = "/", method: str = "PUT", **facts: Any) -> Entry:
    """Return a write."""
    keyed = facts.pop("keyed", False)
    return Entry(None, client, page, method in {"PUT", "DELETE"}, keyed, position=1, **facts)


class Bench:
    """Performs actions. ``open`` are those of the kinds in ``manual``, which wait for the test."""

    def __init__(
        self, *manual: type, state: State | None = None, kept_idle: float = 60.0, **limits: Any
    ) -> None:
        """``kept_idle``: seconds for which the guest was seen to keep a connection open."""
        self.machine = Machine(state or State(Limits(**limits)))
        self.state = self.machine.state
        self.state.kept_idle = kept_idle
        self.now = 0.0
        self.manual = manual
        self.open: list[Any] = []
        self.all: list[Any] = []
        self.told: dict[Any, act.Told] = {}
        self._names = itertools.count(1)
        self._tokens = itertools.count(1)

    def do(self, actions: list[act.Action]) -> None:
        """Perform the actions, and those that follow from them."""
        queue = deque(actions)
        while queue:
            action = queue.popleft()
            self.all.append(action)
            if isinstance(action, self.manual):
                self.open.append(action)
            else:
                queue.extend(self._perform(action))

    def _perform(self, action: Any) -> list[act.Action]:
        machine, now = self.machine, self.now
        match action:
            case act.HoldReads():
                return machine.reads_held(action.token, now)
            case act.Append():
                return machine.appended(action.entry.position, now, action.send_limit)
            case act.Move():
                return machine.appended(action.entry.position, now)
            case act.RaiseLimit():
                return machine.limit_raised(action.limit, now)
            case act.Connect():
                return machine.connected(next(self._names), action.target, now)
            case act.Record():
                return machine.recorded(action.entry.position, now)
            case act.ReleaseReads():
                return machine.reads_released(action.entry.position)
            case act.Quarantine():
                return machine.quarantined(action.entry.position, now)
            case act.Keep():
                return machine.kept(action.position)
            case act.Abandon():
                return machine.abandoned(now)
            case act.CheckBody():
                return machine.checked(action.entry.position, True, now)
            case act.Tell():
                self.told[action.token] = action.told
        return []

    def accept(self, entry: Entry | None = None) -> int:
        """Take a request; return its token."""
        token = next(self._tokens)
        self.do(self.machine.arrive(token))
        self.do(self.machine.submit(token, entry or write(client=f"c{token}", page=f"/{token}")))
        return token

    def replay(self) -> None:
        """Shield, then open the gate."""
        self.do(self.machine.shield(self.now))
        self.do(self.machine.replay("guest", self.now))

    def respond(self, answer: GuestResponse = OK, **facts: Any) -> None:
        """Let the guest respond to the oldest write in flight."""
        self.do(self.machine.response(self.connection, answer, self.now, **facts))

    def lose(self, why: str = "cut", **facts: Any) -> None:
        """Cut the connection with the oldest write in flight."""
        self.do(self.machine.lost(self.connection, self.now, why, **facts))

    @property
    def connection(self) -> Any:
        """Return the name of a connection with writes in flight."""
        return next(c.id for c in self.state.connections.values() if c.in_flight)

    def wait(self, seconds: float) -> None:
        """Let time pass, with all that is due."""
        end = self.now + seconds
        while self.machine.due <= end:
            self.now = max(self.now, self.machine.due)
            self.do(self.machine.tick(self.now))
        self.now = end

    def of(self, kind: type) -> list[Any]:
        """Return the actions of one kind, also those that are open."""
        return [action for action in self.all if isinstance(action, kind)]

    def sent(self) -> list[int]:
        """Return the positions in the order in which they were sent."""
        return [action.entry.position for action in self.of(act.Send)]
