"""How fast one guest may be asked, so that its users do not notice. No I/O, no clock.

One figure, the effort, from a floor to 1, sets both the requests at a time and the requests a
second. It starts low and doubles with each round of answers (slow start) until the guest answers
more slowly than before, then halves at each slow round and grows a little at each good one (AIMD,
as TCP does).

Slow is told by two medians, of the warmer's own waits for the first byte and of the users'
answering times in the access log, each against what it was before. If halving again and again
changes nothing, then the effort was not the cause: these pages are just slower, and what they take
becomes the new "before".
"""

from __future__ import annotations

import collections
import statistics
from typing import Final

_ROUND: Final = 8  # answers that make a round
_FUTILE: Final = 3  # halvings without effect after which the effort is not to blame
_STEP: Final = 1 / 16  # added to the effort after a good round
_SLACK: Final = 0.005  # seconds by which answers may always be slower
_BEFORE: Final = 64  # users' answers from before that are known


class _Stream:
    """Answering times from one source against what they were before, in seconds."""

    def __init__(self, before: float | None = None, *, learns: bool = True) -> None:
        self.before, self._learns = before, learns
        self._now: collections.deque[float] = collections.deque(maxlen=2 * _ROUND)
        self._at_cut: float | None = None  # what it was when the effort was first cut
        self._futile = 0  # cuts since then that changed nothing

    def add(self, seconds: float) -> None:
        """One answer."""
        self._now.append(seconds)

    def slow(self, factor: float) -> bool:
        """Whether the answers of this round are slower than before; learns what before was."""
        if len(self._now) < _ROUND // 2:
            return False
        now = statistics.median(self._now)
        self._now.clear()
        if self.before is None:
            self.before = now
        if now <= factor * self.before + _SLACK:
            if self._learns:  # quicker than ever: that is what the guest can do
                self.before = min(self.before, max(now, 0.9 * self.before))
            self._at_cut = None
            return False
        if self._at_cut is None or now <= 0.8 * self._at_cut:
            self._at_cut, self._futile = now, 0
            return True
        self._futile += 1
        if self._futile < _FUTILE:
            return True
        self.before, self._at_cut = now, None
        return False


class RateLimiter:
    """Told of each answer; asked how many requests may be open and when the next may be sent."""

    def __init__(
        self,
        *,
        max_rate: float,
        min_rate: float,
        max_concurrency: int,
        slow_factor: float,
        users_before: float | None = None,
    ) -> None:
        """Rates in requests a second; ``users_before``: the users' median answering time, s."""
        self._max_rate, self._min_rate = max_rate, min(min_rate, max_rate)
        self._max_concurrency, self._factor = max_concurrency, slow_factor
        self._floor = self._min_rate / max_rate
        # One at a time, so that what it takes before is not what it takes in our own queue.
        self.effort = min(1.0, max(self._floor, 1 / max_concurrency))
        self._doubling = True
        self._fetches = _Stream()
        # Users begin to get hits while we warm: those do not make the others slow.
        self._users = _Stream(users_before, learns=False)
        self._answers = self._failures = 0
        self._next = 0.0
        self.cuts = 0

    @property
    def concurrency(self) -> int:
        """Requests that may be open."""
        return max(1, round(self.effort * self._max_concurrency))

    @property
    def rate(self) -> float:
        """Requests a second."""
        return max(self._min_rate, self.effort * self._max_rate)

    def wait(self, now: float) -> float:
        """Seconds until the next request may be sent."""
        return max(0.0, self._next - now)

    def sent(self, now: float) -> None:
        """One was. What was not used of the rate is lost after a tenth of a second."""
        self._next = max(self._next, now - 0.1) + 1 / self.rate

    def answered(self, first_byte: float) -> None:
        """The guest answered the warmer after so many seconds."""
        self._fetches.add(first_byte)
        self._count()

    def failed(self) -> None:
        """The guest gave an error or none at all."""
        self._failures += 1
        self._count()

    def user(self, seconds: float) -> None:
        """The guest answered a user after so many seconds."""
        self._users.add(seconds)

    def _count(self) -> None:
        self._answers += 1
        if self._answers >= max(_ROUND, self.concurrency):
            self._judge()
            self._answers = self._failures = 0

    def _judge(self) -> None:
        # Both are asked, so that both forget the round.
        slow = [self._fetches.slow(self._factor), self._users.slow(self._factor)]
        if any(slow) or 2 * self._failures > self._answers:
            self.effort = max(self._floor, self.effort / 2)
            self._doubling = False
            self.cuts += 1
        elif self._doubling:
            self.effort = min(1.0, 2 * self.effort)
        else:
            self.effort = min(1.0, self.effort + _STEP)


class Users:
    """The users' recent answering times at one service, before warming hurts anybody."""

    def __init__(self) -> None:
        self._times: collections.deque[float] = collections.deque(maxlen=_BEFORE)

    def add(self, seconds: float) -> None:
        """One user's answer."""
        self._times.append(seconds)

    def median(self) -> float | None:
        """Seconds; None while too little is known."""
        return statistics.median(self._times) if len(self._times) >= _ROUND else None
