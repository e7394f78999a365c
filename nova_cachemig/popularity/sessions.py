"""Predicts a client's next pages from the pages that it has requested.

A first-order Markov chain over pages, several steps ahead. For each page it counts the other pages
that the same client requested within the next minutes of the session. These are the next page of a
visit and, more often, a page's images, style sheets and scripts. A page that the client has had is
not predicted again: its browser has it.

The reliability of these counts differs by site: a crawler's next page does not depend on its last.
Each prediction is therefore weighted by its calibration: predictions are grouped by how often the
pair was seen, and in which share of the visits. A prediction counts as the share of its group that
came true.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Final

from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import ForwardDecay

MAX_ANCHORS: Final = 8  # last pages of a session that a page can follow
MAX_FOLLOWERS: Final = 24  # of one page
MAX_SEEN: Final = 48  # last pages of one client
MAX_PENDING: Final = 64  # predictions for one client
_HALVE_AT = 64  # visits of a page after which its follower counts are halved, as a decay
_MIN_SHARE = 1 / 32  # of the visits, for a follower to be predicted
_COUNT_STEPS, _SHARE_STEPS = 6, 8


class Calibration:
    """The share of predictions that came true, in each group of similar predictions.

    A group has the same count of the pair, in powers of two, and share of the visits, in eighths.
    """

    def __init__(self) -> None:
        size = _COUNT_STEPS * _SHARE_STEPS
        self._made = [0.0] * size
        self._true = [0.0] * size

    @staticmethod
    def group(count: int, visits: int) -> int:
        """Return the group of a pair, an index of the table."""
        step = min(count.bit_length(), _COUNT_STEPS) - 1
        share = min(_SHARE_STEPS - 1, _SHARE_STEPS * count // max(1, visits))
        return step * _SHARE_STEPS + share

    def probability(self, group: int) -> float:
        """Return 0 to 1. The prior is 0.05 of one prediction."""
        return min(1.0, (self._true[group] + 0.05) / (self._made[group] + 1.0))

    def add_predictions(self, group: int, number: int = 1) -> None:
        """Count predictions that were made; a negative ``number`` withdraws them."""
        self._made[group] += number
        if self._made[group] > 1e6:  # so that new predictions keep an effect
            self._made[group] /= 2
            self._true[group] /= 2

    def add_success(self, group: int) -> None:
        """Count a prediction that came true."""
        self._true[group] += 1


class Session:
    """The recent pages of one client, and the pages predicted for it."""

    __slots__ = ("last", "novel", "pending", "seen")

    def __init__(self) -> None:
        self.seen: dict[Page, float] = {}  # page -> time, the oldest first
        self.pending: dict[Page, tuple[int, float, float]] = {}  # page -> group, time, probability
        self.novel = 0.0  # pages without earlier requests by any client, halved in each idle time
        self.last = 0.0


class Sessions:
    """The sessions of one service's ``max_clients`` most recent clients."""

    def __init__(self, max_clients: int, idle: float, half_life: float, start: float) -> None:
        """``idle``: seconds after which a session is over; ``half_life`` of a prediction, in s."""
        self._clients: collections.OrderedDict[str, Session] = collections.OrderedDict()
        self._max, self._idle = max_clients, idle
        self.decay = ForwardDecay(half_life, start)
        self.calibration = Calibration()

    def __len__(self) -> int:
        return len(self._clients)

    def get(self, client: str, now: float) -> Session:
        """Return the client's present session, or a new one if the last is over."""
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

    def record(self, session: Session, page: Page, now: float) -> None:
        """Record a request of the session's client for the page."""
        repeated = session.seen.pop(page, None) is not None
        if not repeated:
            self._resolve(session, page)
            self._learn(session, page, now)
        session.seen[page] = now
        if len(session.seen) > MAX_SEEN:
            del session.seen[next(iter(session.seen))]
        if not repeated:
            page.visits += 1
            self._predict(session, page, now)
            if page.visits >= _HALVE_AT:
                _halve(page)

    def _resolve(self, session: Session, page: Page) -> None:
        prediction = session.pending.pop(page, None)
        if prediction is not None:
            group, at, probability = prediction
            self.calibration.add_success(group)
            page.expected = max(0.0, page.expected - probability * self.decay.weight(at))

    def _learn(self, session: Session, page: Page, now: float) -> None:
        left = MAX_ANCHORS
        for anchor, at in reversed(session.seen.items()):
            if not left or now - at > self._idle:
                return
            left -= 1
            if anchor.kept:
                _count_follower(anchor, page)

    def _predict(self, session: Session, page: Page, now: float) -> None:
        visits, weight, calibration = page.visits, self.decay.weight(now), self.calibration
        evicted = []
        for follower, count in page.followers.items():
            if not follower.kept:
                evicted.append(follower)
                continue
            if count < _MIN_SHARE * visits or follower in session.seen:
                continue
            group = calibration.group(count, visits)
            probability = calibration.probability(group)
            before = session.pending.get(follower)
            if before is not None:
                if before[2] >= probability:
                    continue
                calibration.add_predictions(before[0], -1)
                follower.expected = max(
                    0.0, follower.expected - before[2] * self.decay.weight(before[1])
                )
            elif len(session.pending) >= MAX_PENDING:
                del session.pending[next(iter(session.pending))]
            calibration.add_predictions(group)
            session.pending[follower] = (group, now, probability)
            follower.expected += probability * weight
        for follower in evicted:
            del page.followers[follower]

    def rescale(self, pages: Callable[[], list[Page]], now: float) -> None:
        """Move the landmark if it is time, which is rare."""
        factor = self.decay.rescale(now)
        if factor is not None:
            for page in pages():
                page.expected *= factor


def _count_follower(anchor: Page, page: Page) -> None:
    """Count the pair. Without room, a new follower decrements the weakest one (Misra-Gries)."""
    followers = anchor.followers
    if page in followers:
        followers[page] += 1
    elif len(followers) < MAX_FOLLOWERS:
        followers[page] = 1
    else:
        weakest = min(followers, key=followers.__getitem__)
        followers[weakest] -= 1
        if not followers[weakest]:
            del followers[weakest]


def _halve(page: Page) -> None:
    page.visits //= 2
    page.followers = {
        follower: count // 2 for follower, count in page.followers.items() if count > 1
    }
