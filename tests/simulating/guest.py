"""The guest: it applies writes, and behaves as real ones do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulating.loop import Loop
from tests.simulating.plan import Plan

LATENCY = 0.0002  # seconds, of the network, each way
GRACE = 0.9  # seconds, without pauses, for which work goes on whose connection is gone
_ROUNDING = 1e-9  # seconds


class Answer:
    """A response: ``id`` stands for its body."""

    __slots__ = ("after", "id", "status")

    def __init__(self, status: int, name: str, after: str | None = None) -> None:
        self.status = status
        self.id = name
        self.after = after

    def header(self, name: str) -> str | None:
        """Return Retry-After, or nothing."""
        return self.after if name == "retry-after" else None


class Write:
    """A client's write."""

    __slots__ = ("client", "id", "key", "method", "page")

    def __init__(self, name: str, client: str, method: str, page: str, key: str | None) -> None:
        self.id = name
        self.client = client
        self.method = method
        self.page = page
        self.key = key


class Guest:
    """One service's application."""

    def __init__(self, loop: Loop, plan: Plan, name: str) -> None:
        self.loop = loop
        self.plan = plan
        self.name = name
        self.honours_keys = plan.honours_keys[name]
        self.location = "source"
        self.paused = False
        self._ran = 0.0  # seconds, until it was last resumed
        self._resumed_at = 0.0
        self.faults = True
        self.received: set[str] = set()
        self.applied: list[str] = []
        self.rejected: set[str] = set()  # responded to, but not applied
        self.log: list[tuple[str, int]] = []  # what came through the journal, with positions
        self.pages: dict[str, str] = {}
        self.by_key: dict[str, Answer] = {}
        self.working: set[str] = set()  # keys
        self.poisoned: dict[str, bool] = {}
        self._frozen: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def pause(self) -> None:
        """Do nothing, and hear nothing, until :meth:`resume`."""
        self._ran = self.ran()
        self.paused = True

    def ran(self) -> float:
        """Return for how long it has run, without its pauses."""
        return self._ran if self.paused else self._ran + self.loop.now - self._resumed_at

    def resume(self, location: str) -> None:
        """Go on. TCP delivers what was sent meanwhile."""
        self.paused, self.location = False, location
        self._resumed_at = self.loop.now
        frozen, self._frozen = self._frozen, []
        for call, args in frozen:
            call(*args)

    def do(self, call: Callable[..., Any], *args: Any) -> None:
        """Call now, or when it is resumed."""
        if self.paused:
            self._frozen.append((call, args))
        else:
            call(*args)

    def later(self, delay: float, call: Callable[..., Any], *args: Any) -> None:
        """Call after this time, in which pauses do not count."""
        self.loop.later(delay, self.do, self._due, self.ran() + delay, call, args)

    def _due(self, at: float, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Call at this running time."""
        left = at - self.ran()
        if left > _ROUNDING:  # there was a pause
            self.loop.later(left, self.do, self._due, at, call, args)
        else:
            call(*args)

    def poison(self, write: Write) -> bool:
        """Whether the guest always dies on this write."""
        if write.id not in self.poisoned:
            self.poisoned[write.id] = self.loop.random() < self.plan.poison
        return self.poisoned[write.id]

    def apply(self, write: Write, position: int, status: int = 200) -> Answer:
        """Apply a write. If keys are honoured, a known key gets its first response."""
        keyed = self.honours_keys and write.key is not None
        if keyed and write.key in self.by_key:
            return self.by_key[write.key]
        self.applied.append(write.id)
        if self.loop.lines is not None:
            self.loop.note(f"{self.name}/{position} {write.id}: applied")
        if position:
            self.log.append((write.id, position))
        self.pages[write.page] = write.id
        answer = Answer(status, write.id)
        if keyed:
            self.by_key[write.key] = answer
        return answer

    def service_time(self) -> float:
        """Seconds for one write."""
        draw = self.loop.random()
        if draw > self.plan.slow:
            return 0.001 + 0.003 * draw
        if draw <= 0.01:
            return 0.5 + self.loop.random()
        least = self.plan.slow_time
        return least + (0.85 - least) * self.loop.random() ** 2


class Connection:
    """One connection, seen from the guest's side. It takes one request after the other.

    ``report(kind, answer)`` is called on the other side: "response", "last" (with Connection:
    close), "garbage", "end", "byte".
    """

    __slots__ = (
        "_begun",
        "_busy",
        "_guest",
        "_lost",
        "_queue",
        "_report",
        "_responding",
        "cut",
        "cut_at",
        "dead",
        "mute",
    )

    def __init__(self, guest: Guest, report: Callable[[str, Answer | None], None]) -> None:
        self._guest = guest
        self._report = report
        self._queue: list[tuple[Write, int]] = []
        self._busy = False
        self._begun: tuple[Write, int] | None = None
        self._responding = False  # some of the response has left
        self.cut = False  # no response leaves after this
        self.cut_at = 0.0  # in the guest's running time
        self._lost = False  # a request was lost in the network
        self.mute = False  # responses are lost in the network
        self.dead = False  # and nothing is applied after this

    def send(self, write: Write, position: int = 0) -> None:
        """Send a request over the network."""
        self._guest.loop.later(LATENCY, self._guest.do, self._receive, write, position)

    def _receive(self, write: Write, position: int) -> None:
        guest = self._guest
        if self._lost or self.dead or (self.cut and guest.loop.random() < 0.5):
            self._lost = True  # and so is all that was sent behind it
            return
        guest.received.add(write.id)
        self._queue.append((write, position))
        if not self._busy:
            self._work()

    def close(self) -> None:
        """The agent is dead. The current write is applied soon, or never."""
        self.cut, self.cut_at = True, self._guest.ran()
        self._queue.clear()

    def break_off(self) -> None:
        """The network cuts the connection. The current write is applied now or not at all."""
        guest = self._guest
        if not self.cut:
            self.cut = self.dead = True
            if self._begun is not None and guest.loop.random() < 0.5 and not guest.paused:
                guest.apply(*self._begun)
            self._begun = None
            self._queue.clear()
            guest.loop.later(LATENCY, self._report, "end", None)

    # --- work

    def _work(self) -> None:
        guest = self._guest
        if not self._queue:
            self._busy = False
            return
        self._busy = True
        self._begun = self._queue.pop(0)
        time = guest.service_time()
        if self.cut:
            time = min(time, GRACE)
        if self._strange(time):
            return
        write = self._begun[0]
        if guest.honours_keys and write.key is not None:
            if write.key in guest.working:
                guest.later(0.001, self._respond, Answer(409, write.id, "0"))
                return
            guest.working.add(write.key)
        guest.later(time, self._finish, self._begun)

    def _finish(self, begun: tuple[Write, int]) -> None:
        guest = self._guest
        write, position = begun
        guest.working.discard(write.key or "")
        if self._begun is not begun:
            return  # broken off
        late = guest.ran() > self.cut_at + GRACE
        if self.cut and (late or guest.loop.random() < 0.5):
            self._begun = None
            return  # its worker was killed
        status = 500 if guest.faults and guest.loop.random() < guest.plan.errors else 200
        if status == 500 and guest.loop.random() < 0.5 and not guest.honours_keys:
            guest.rejected.add(write.id)
            self._respond(Answer(500, write.id))
            return
        self._respond(guest.apply(write, position, status))

    def _respond(self, answer: Answer) -> None:
        guest = self._guest
        self._begun = None
        if self.cut:
            return
        closes = guest.loop.random() < guest.plan.closes[guest.name]
        closes = closes or (bool(self._queue) and not guest.plan.pipelines[guest.name])
        if closes:
            self._queue.clear()
            self.cut = self.dead = True
        if not self.mute:
            announces = closes and not guest.plan.silent
            guest.loop.later(LATENCY, self._report, "last" if announces else "response", answer)
            if closes and not announces:
                guest.loop.later(LATENCY, self._report, "end", None)
        self._work()

    def _strange(self, time: float) -> bool:
        """Whether something else than a response happens."""
        guest, plan = self._guest, self._guest.plan
        assert self._begun is not None
        write, position = self._begun
        draw = guest.loop.random() if guest.faults else 1.0
        if guest.poison(write) or draw < plan.dies:
            guest.later(time, self._die, self._begun)
        elif draw < plan.dies + plan.not_http:
            guest.later(time, self._garble, self._begun)
        elif draw < plan.dies + plan.not_http + plan.drips:
            guest.apply(write, position)
            self._responding = True
            self._begun = None
            self._drip()
        elif draw < plan.dies + plan.not_http + plan.drips + plan.hangs:
            if guest.loop.random() < 0.5:
                guest.apply(write, position)
            self._begun = None
        else:
            return False
        return True

    def _die(self, begun: tuple[Write, int]) -> None:
        if self._begun is begun:
            if self._guest.loop.random() < 0.5:
                self._guest.apply(*begun)
            self._begun = None
            self._queue.clear()
            self.cut = self.dead = True
            self._guest.loop.later(LATENCY, self._report, "end", None)

    def _garble(self, begun: tuple[Write, int]) -> None:
        if self._begun is begun:
            self._guest.apply(*begun)
            self._begun = None
            self._queue.clear()
            self.cut = self.dead = True
            self._guest.loop.later(LATENCY, self._report, "garbage", None)

    def _drip(self) -> None:
        if not self.cut:
            self._report("byte", None)
            self._guest.later(0.2, self._drip)

    @property
    def responding(self) -> bool:
        """Whether a part of a response has arrived."""
        return self._responding
