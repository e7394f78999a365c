"""A client: it writes, and reads what it has written."""

from __future__ import annotations

from functools import partial

from nova_cachemig.replay.state import INFINITE
from tests.crashing.oplog import Read, Sent
from tests.simulating.edge import Edge, Outcome
from tests.simulating.guest import Write
from tests.simulating.history import History
from tests.simulating.loop import Loop
from tests.simulating.plan import Plan

METHODS = ("PUT", "POST", "POST", "DELETE")
MOST = 30  # tries of a write with a key
ACKNOWLEDGED = {Outcome.APPLIED, Outcome.ACCEPTED}


class Client:
    """Does one thing after the other."""

    def __init__(
        self, loop: Loop, plan: Plan, history: History, edge: Edge, name: str, service: str
    ) -> None:
        self._loop = loop
        self._plan = plan
        self._history = history
        self._edge = edge
        self.name = name
        self._service = service
        self._keyed = plan.honours_keys[service] and loop.random() < 0.7
        self.early = loop.random() < 0.4
        self._left = plan.writes
        self._try = 0
        self._tries = 0  # number of sends
        self._page = ""
        self.busy = False  # waits for something
        self.done = False
        self.faults = True

    def go_on(self) -> None:
        """Think, then do the next thing."""
        self.busy = False
        self._loop.later(0.004 * self._loop.random() ** 2 + 0.0001, self._next)

    def _next(self) -> None:
        random = self._loop.random
        if self._page and random() < 0.4:
            page, self._page = self._page, ""
            self.busy = True
            self._edge.read(self.name, page, partial(self._read, page, self._loop.now))
        elif self._left:
            self._left -= 1
            if random() < 0.1:
                self._loop.later(0.2 * random(), self._write)
            else:
                self._write()
        else:
            self.done = True

    def _read(self, page: str, at: float, value: str | None, ok: bool) -> None:
        if ok:
            self._history.reads[self._service].append(Read(page, at, value))
        self.go_on()

    def _write(self) -> None:
        loop, random = self._loop, self._loop.random
        name = f"{self.name}-{self._left}"
        shared = random() < self._plan.shared
        page = (
            f"/{int(random() * self._plan.pages)}"
            if shared
            else f"/{self.name}/{int(random() * 3)}"
        )
        method = METHODS[int(random() * 4)]
        write = Write(name, self.name, method, page, name if self._keyed else None)
        log = Sent(name, self.name, method, loop.now, url=page)
        self._history.writes[self._service][name] = log
        self._history.pages[name] = write
        self._page = page
        self._tries = 0
        self._send(write, log)

    def _send(self, write: Write, log: Sent) -> None:
        random, plan = self._loop.random, self._plan
        body_time = 0.0
        if self.faults and random() < plan.slow_body:
            body_time = 3.0 * random() ** 2
        leaves = INFINITE
        if self.faults and random() < plan.disconnects:
            leaves = 0.5 * random() ** 2
        self._try += 1
        self.busy = True
        tell = partial(self._told, write, log, self._try)
        if leaves < INFINITE:
            self._loop.later(leaves, tell, Outcome.UNKNOWN, "")
        self._edge.write(write, body_time, leaves, self.early, tell)

    def _told(self, write: Write, log: Sent, number: int, outcome: Outcome, name: str) -> None:
        if number != self._try:
            return
        self._try += 1
        if self._loop.lines is not None:
            self._loop.note(f"{write.id} {write.method} {write.page}: {outcome.name}")
        if name and name != write.id:
            self._history.faults.append(f"another's response: {write.id} got that of {name}")
        if outcome in ACKNOWLEDGED:
            log.acknowledged_at = self._loop.now
        elif outcome is Outcome.REFUSED and not self._keyed:
            log.refused = True
        elif outcome is Outcome.IN_DOUBT:
            self._history.doubted.add(write.id)
        elif self._keyed and outcome is not Outcome.FAILED and self._tries < MOST:
            self._tries += 1
            self._loop.later(0.02 + 0.05 * self._loop.random(), self._send, write, log)
            self._try += 1
            return
        self.go_on()
