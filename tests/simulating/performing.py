"""Performs the actions of the machine of one service: the loop, and the state of all actions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nova_cachemig.replay import actions as act
from nova_cachemig.replay.machine import Machine
from nova_cachemig.replay.state import INFINITE, State
from tests.simulating.edge import Edge, Told
from tests.simulating.guest import Connection, Guest, Write

if TYPE_CHECKING:
    from tests.simulating.agent import Agent


class Killed(Exception):
    """The agent dies here."""


class Request:
    """A request that the agent has taken, until its client has a response."""

    __slots__ = ("tell", "write")

    def __init__(self, write: Write, tell: Told) -> None:
        self.write = write
        self.tell = tell


class Performing:
    """The state of one service, and the loop over the actions of its machine."""

    def __init__(self, agent: Agent, name: str, state: State, edge: Edge, guest: Guest) -> None:
        self._agent = agent
        self._loop = agent.loop
        self._disk = agent.disk
        self.name = name
        self.edge = edge
        self.guest = guest
        self.machine = Machine(state)
        self.opened = False
        self.on_caught_up: Callable[[], None] = lambda: None
        self.on_release: Callable[[bool], None] = lambda _done: None
        self.pipes: dict[int, Connection] = {}
        self.sent_at: dict[int, list[float]] = agent.history.sent_at[name]
        self._requests: dict[Any, Request] = {}
        self._keys: set[str] = set()  # of requests that are being accepted
        self._connecting = 0
        self._tick = INFINITE
        self._events: deque[list[act.Action]] = deque()
        self._performing = False
        self._do = {
            getattr(act, name): getattr(self, f"_{name}")
            for name in [
                "HoldReads",
                "ReleaseReads",
                "ResetReads",
                "Append",
                "Move",
                "RaiseLimit",
                "Load",
                "CheckBody",
                "Connect",
                "StopConnecting",
                "Close",
                "Send",
                "LogResponse",
                "Record",
                "Keep",
                "Quarantine",
                "Abandon",
                "Tell",
                "CaughtUp",
                "Released",
                "NotReleased",
            ]
        }

    # --- performing

    def perform(self, actions: list[act.Action]) -> None:
        """Perform the actions in order, then the actions that follow from them."""
        agent = self._agent
        self._events.append(actions)
        if self._performing:
            return
        self._performing = True
        try:
            while self._events:
                for action in self._events.popleft():
                    agent.steps_left -= 1
                    if agent.steps_left == 0:
                        raise Killed
                    self._do[type(action)](action)
        except Killed:
            self._events.clear()
            agent.die()
            return
        finally:
            self._performing = False
        due = self.machine.due
        if due < self._tick:
            self._tick = due
            self._loop.at(due, self._ring, due)

    def _ring(self, due: float) -> None:
        if not self._agent.alive or due != self._tick:
            return
        self._tick = INFINITE
        self.perform(self.machine.tick(self._loop.now))

    def event(self, name: str, *args: Any) -> None:
        """Report an event later, if the agent still lives then."""
        if self._agent.alive:
            self.perform(getattr(self.machine, name)(*args))

    def new_token(self) -> int:
        """Return a new name of a request."""
        return self._agent.token()
