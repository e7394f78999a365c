"""What a client asks for after what it has asked for already.

A first-order Markov chain over pages, several steps ahead: for each page, which other pages the
same client asked for within the session's next minutes. That is the next page of a visit and, more
often, a page's images, style sheets and scripts. What the client has had is not predicted again:
its browser has it.

How far such counts can be trusted differs by site (a crawler's next page follows nothing), so each
prediction is an entry in a table of calibration: by how often, and in what share of the visits,
the pair was seen, the share of predictions that came true. A prediction counts as that share of a
request.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Final

from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import Clock

ANCHORS: Final = 8  # last pages of a session from which a page can follow
FOLLOWS: Final = 24  # pages kept as followers of a page
SEEN: Final = 48  # last pages of a client that are known
PENDING: Final = 64  # predictions kept for a client
_HALVE_AT = 64  # visits after which a page's follower counts are halved: the decay
_LEAST_SHARE = 32  # a follower in fewer than one of so many visits predicts nothing
_COUNT_STEPS, _SHARE_STEPS = 6, 8


class Calibration:
    """Of the predictions of one kind, the share that came true.

    The kind is the count of the pair (in powers of two) and its share of the visits (in eighths).
    """

    def __init__(self) -> None:
        size = _COUNT_STEPS * _SHARE_STEPS
        self._made = [0.0] * size
        self._true = [0.0] * size

    @staticmethod
    def kind(count: int, visits: int) -> int:
        """The place in the table."""
        step = min(count.bit_length(), _COUNT_STEPS) - 1
        share = min(_SHARE_STEPS - 1, _SHARE_STEPS * count // max(1, visits))
        return step * _SHARE_STEPS + share

    def chance(self, kind: int) -> float:
        """0 to 1; careful (0.05 of one prediction) while nothing is known."""
        return min(1.0, (self._true[kind] + 0.05) / (self._made[kind] + 1.0))

    def made(self, kind: int, times: int = 1) -> None:
        """So many predictions of this kind were made (negative: taken back)."""
        self._made[kind] += times
        if self._made[kind] > 1e6:  # keep learning
            self._made[kind] /= 2
            self._true[kind] /= 2

    def came_true(self, kind: int) -> None:
        """One did."""
        self._true[kind] += 1


class Session:
    """What one client has asked for lately, and what it is expected to ask for."""

    __slots__ = ("last", "novel", "pending", "seen")

    def __init__(self) -> None:
        self.seen: dict[Page, float] = {}  # page -> when, the oldest first
        self.pending: dict[Page, tuple[int, float, float]] = {}  # page -> kind, when, chance
        self.novel = 0.0  # pages that nobody had asked for before, halved each idle time
        self.last = 0.0


class Sessions:
    """The sessions of one service's clients, the least recent forgotten beyond ``max_clients``."""

    def __init__(self, max_clients: int, idle: float, half_life: float, start: float) -> None:
        """``idle``: seconds after which a session is over; ``half_life`` (s) of an expectation."""
        self._clients: collections.OrderedDict[str, Session] = collections.OrderedDict()
        self._max, self._idle = max_clients, idle
        self.clock = Clock(half_life, start)
        self.calibration = Calibration()

    def __len__(self) -> int:
        return len(self._clients)

    def of(self, client: str, now: float) -> Session:
        """The client's present session, a new one where the last is over."""
        session = self._clients.get(client)
        if session is None or now - session.last > self._idle:
            session = self._clients[client] = Session()
        self._clients.move_to_end(client)
        if now > session.last:
            session.novel *= 2.0 ** ((session.last - now) / self._idle)
            session.last = now
        while len(self._clients) > self._max:
            self._clients.popitem(last=False)
        return session

    def saw(self, session: Session, page: Page, now: float) -> None:
        """The client of this session asked for this page."""
        again = session.seen.pop(page, None) is not None
        if not again:
            self._fulfil(session, page)
            self._learn(session, page, now)
        session.seen[page] = now
        if len(session.seen) > SEEN:
            del session.seen[next(iter(session.seen))]
        if not again:
            page.visits += 1
            self._predict(session, page, now)
            if page.visits >= _HALVE_AT:
                _halve(page)

    def _fulfil(self, session: Session, page: Page) -> None:
        awaited = session.pending.pop(page, None)
        if awaited is not None:
            kind, at, chance = awaited
            self.calibration.came_true(kind)
            page.expected = max(0.0, page.expected - chance * self.clock.unit(at))

    def _learn(self, session: Session, page: Page, now: float) -> None:
        left = ANCHORS
        for anchor, at in reversed(session.seen.items()):
            if not left or now - at > self._idle:
                return
            left -= 1
            if anchor.kept:
                _follow(anchor, page)

    def _predict(self, session: Session, page: Page, now: float) -> None:
        visits, unit, calibration = page.visits, self.clock.unit(now), self.calibration
        gone = []
        for follower, count in page.follows.items():
            if not follower.kept:
                gone.append(follower)
                continue
            if count * _LEAST_SHARE < visits or follower in session.seen:
                continue
            kind = calibration.kind(count, visits)
            chance = calibration.chance(kind)
            before = session.pending.get(follower)
            if before is not None:
                if before[2] >= chance:
                    continue
                calibration.made(before[0], -1)
                follower.expected = max(
                    0.0, follower.expected - before[2] * self.clock.unit(before[1])
                )
            elif len(session.pending) >= PENDING:
                del session.pending[next(iter(session.pending))]
            calibration.made(kind)
            session.pending[follower] = (kind, now, chance)
            follower.expected += chance * unit
        for follower in gone:
            del page.follows[follower]

    def rescale(self, pages: Callable[[], list[Page]], now: float) -> None:
        """Move the landmark when it is due; seldom does anything."""
        factor = self.clock.due(now)
        if factor is not None:
            for page in pages():
                page.expected *= factor


def _follow(anchor: Page, page: Page) -> None:
    """Count the pair; a newcomer wears down the weakest (Misra-Gries) where there is no room."""
    follows = anchor.follows
    if page in follows:
        follows[page] += 1
    elif len(follows) < FOLLOWS:
        follows[page] = 1
    else:
        weakest = min(follows, key=follows.__getitem__)
        follows[weakest] -= 1
        if not follows[weakest]:
            del follows[weakest]


def _halve(page: Page) -> None:
    page.visits //= 2
    page.follows = {follower: count // 2 for follower, count in page.follows.items() if count > 1}
