"""The edge: where reads and writes go, which responses are stale, which reads are held."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from tests.simulating.guest import LATENCY, Connection, Guest, Write
from tests.simulating.loop import Loop


class Way(enum.Enum):
    """The state of one service's edge."""

    PASS = enum.auto()
    ARMED = enum.auto()
    SHIELDED = enum.auto()
    REPLAY = enum.auto()
    DRAIN = enum.auto()


class Outcome(enum.Enum):
    """The kinds of responses to a client."""

    APPLIED = enum.auto()  # the guest's 2xx
    FAILED = enum.auto()  # the guest's 5xx: it may be applied
    ACCEPTED = enum.auto()
    REFUSED = enum.auto()
    UNKNOWN = enum.auto()
    IN_DOUBT = enum.auto()
    RETRY = enum.auto()  # 409: the first try with its key is in progress


Told = Callable[[Outcome, str], None]  # with the id in the response


class Edge:
    """One service's edge. It survives the agent, but no power cut."""

    def __init__(self, loop: Loop, guest: Guest) -> None:
        self._loop = loop
        self._guest = guest
        self.way = Way.PASS
        self.up = True
        self.pending: dict[str, set[Any]] = {}  # key → writes for which its reads are held
        self._epochs: dict[str, int] = {}
        self._writing: dict[str, int] = {}  # page → direct writes in progress
        self._cache: dict[str, tuple[int, str | None]] = {}
        self._held: list[Callable[[], None]] = []  # reads
        self._queued: list[Callable[[], None]] = []  # writes
        self.intake: Callable[[Write, float, float, bool, Told], Any] | None = (
            None  # None: no agent
        )

    def set(self, way: Way) -> None:
        """Switch, and let held requests continue."""
        self.way = way
        if way is not Way.DRAIN:
            queued, self._queued = self._queued, []
            for call in queued:
                call()
        self._look_again()

    def lose(self) -> None:
        """A power cut: everything is new."""
        self.up, self.way = False, Way.PASS
        self.pending.clear()
        self._cache.clear()
        held, self._held = self._held + self._queued, []
        self._queued = []
        for call in held:
            call()

    # --- the barrier

    def hold(self, keys: tuple[str, ...], page: str, name: Any) -> None:
        """Hold reads for a write, and make the page stale."""
        self.stale(page)
        for key in keys:
            self.pending.setdefault(key, set()).add(name)

    def pending_rename(self, keys: tuple[str, ...], old: Any, new: Any) -> None:
        """A held write is known by another name from now on; 0: it was dropped."""
        for key in keys:
            names = self.pending.get(key)
            if new and names is not None and old in names:
                names.discard(old)
                names.add(new)

    def release(self, keys: tuple[str, ...], page: str, name: Any) -> None:
        """The write has ended."""
        self.stale(page)
        for key in keys:
            names = self.pending.get(key)
            if names is not None:
                names.discard(name)
                if not names:
                    del self.pending[key]
        self._look_again()

    def replace(self, held: list[tuple[tuple[str, ...], str, Any]]) -> None:
        """Hold reads for exactly these writes; everything is stale."""
        self.pending.clear()
        self._cache.clear()
        for keys, page, name in held:
            self.hold(keys, page, name)
        self._look_again()

    def stale(self, page: str) -> None:
        """Stored responses of the page are no longer used."""
        self._epochs[page] = self._epochs.get(page, 0) + 1

    def _look_again(self) -> None:
        held, self._held = self._held, []
        for call in held:
            call()

    # --- reads

    def read(self, client: str, page: str, tell: Callable[[str | None, bool], None]) -> None:
        """Read a page: ``tell(value, ok)``."""
        if not self.up:
            tell(None, False)
            return
        journalled = self.way is not Way.PASS
        if journalled and (f"url:{page}" in self.pending or f"client:{client}" in self.pending):
            self._held.append(lambda: self.read(client, page, tell))
            return
        stored = self._cache.get(page)
        fresh = stored is not None and stored[0] == self._epochs.get(page, 0)
        if journalled and fresh and not self._writing.get(page) and stored is not None:
            value = stored[1]
            self._loop.later(LATENCY, tell, value, True)
        elif self.way is Way.SHIELDED:
            self._held.append(lambda: self.read(client, page, tell))
        else:
            epoch = self._epochs.get(page, 0)
            self._guest.later(2 * LATENCY, self._fetched, page, epoch, tell)

    def _fetched(self, page: str, epoch: int, tell: Callable[[str | None, bool], None]) -> None:
        value = self._guest.pages.get(page)
        if epoch == self._epochs.get(page, 0) and not self._writing.get(page):
            self._cache[page] = (epoch, value)
        self._loop.later(LATENCY, tell, value, True)

    # --- writes

    def write(self, write: Write, body_time: float, leaves: float, early: bool, tell: Told) -> None:
        """Take a write whose body takes that long, and whose client disconnects then."""
        if not self.up:
            tell(Outcome.REFUSED, "")
        elif self.way in {Way.PASS, Way.ARMED}:
            self._writing[write.page] = self._writing.get(write.page, 0) + 1
            self.stale(write.page)
            self._loop.later(body_time, self._direct, write, tell)
        elif self.way is Way.DRAIN:
            self._queued.append(lambda: self.write(write, body_time, leaves, early, tell))
        elif self.intake is None:
            tell(Outcome.REFUSED, "")
        else:
            self._loop.later(LATENCY, self._to_intake, write, body_time, leaves, early, tell)

    def _to_intake(
        self, write: Write, body_time: float, leaves: float, early: bool, tell: Told
    ) -> None:
        if self.intake is None:
            tell(Outcome.REFUSED, "")
        else:
            self.intake(write, body_time, leaves, early, tell)

    def _direct(self, write: Write, tell: Told) -> None:
        told = False

        def report(kind: str, answer: Any) -> None:
            nonlocal told
            if told or kind == "byte":
                return
            told = True
            self._writing[write.page] -= 1
            self.stale(write.page)
            if answer is None or not self.up:
                tell(Outcome.UNKNOWN, "")
            elif answer.status == 409:
                tell(Outcome.RETRY, "")
            else:
                tell(Outcome.APPLIED if answer.status == 200 else Outcome.FAILED, answer.id)

        connection = Connection(self._guest, report)
        connection.send(write)
        self._loop.later(5.0, self._give_up, connection, report)

    def _give_up(self, connection: Connection, report: Callable[[str, Any], None]) -> None:
        connection.cut = connection.dead = True
        report("end", None)
