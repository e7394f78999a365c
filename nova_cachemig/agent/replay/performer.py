"""Performs the machine's actions in order, and rings its timer."""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from nova_cachemig.replay import actions as act
from nova_cachemig.replay.machine import Machine
from nova_cachemig.replay.state import INFINITE

LOG = logging.getLogger(__name__)

Performers = dict[type, Callable[[Any], object]]
"""Kind of action → what performs it."""


class Performer:
    """Runs one machine. Call it in the event loop's thread."""

    def __init__(self, machine: Machine, name: str) -> None:
        """``name``: the service's, for the log."""
        self.machine = machine
        self.on_turn: Callable[[], None] = lambda: None
        """Called after each event, when all its actions were performed."""
        self.flush: Callable[[], None] = lambda: None
        """Write to the guest what was sent so far: it works during the actions that follow."""
        self.stopped = False
        self.do: Performers = {}
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._events: collections.deque[list[act.Action]] = collections.deque()
        self._performing = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = INFINITE
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """Return the machine's time."""
        return self._loop.time()

    def perform(self, actions: list[act.Action]) -> None:
        """Perform the actions in order, then those that follow from them."""
        if self.stopped:
            return
        events, do = self._events, self.do
        events.append(actions)
        if self._performing:
            return
        self._performing = True
        try:
            while events:
                for action in events.popleft():
                    try:
                        do[type(action)](action)
                    except Exception:  # a bug of the agent: do not lose the other actions with it
                        name = type(action).__name__
                        LOG.exception("%s: cannot perform %s", self._name, name)
        finally:
            self._performing = False
        self.on_turn()
        self._set_timer()
        if self._waiters:
            self._wake()

    def _set_timer(self) -> None:
        due = self.machine.due
        if due < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._due = due
            self._timer = self._loop.call_at(max(due, 0.0), self._ring)

    def _ring(self) -> None:
        due, self._due, self._timer = self._due, INFINITE, None
        self.perform(self.machine.tick(max(self.now(), due)))

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a part of an action in the background."""
        task = self._loop.create_task(work, name=f"{name} {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return at the first instant at which the machine's state meets a condition."""
        if not condition():
            future: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append((condition, future))
            await future

    def _wake(self) -> None:
        for waiter in tuple(self._waiters):
            condition, future = waiter
            if future.done() or condition():
                self._waiters.remove(waiter)
                if not future.done():
                    future.set_result(None)

    async def stop(self) -> None:
        """Ignore all further events."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
