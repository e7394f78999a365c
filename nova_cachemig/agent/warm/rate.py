"""The rate at which one guest may be asked, so that its users notice nothing. No I/O, no clock.

One number, the effort, sets both the concurrent requests and the requests per second. It is between
a floor and 1. It starts low and doubles with each round of responses (slow start) until the guest
responds more slowly than before. From then on a slow round halves it, and a good round raises it a
little (AIMD, as in TCP).

Two medians show whether the guest is slow, each compared with its baseline: the warmer's times to
the first byte, and the users' response times in the access log. If halving the effort several times
changes nothing, the effort was not the cause: these pages take longer, and their time becomes the
new baseline.
"""

from __future__ import annotations

import collections
import contextlib
import statistics
from collections.abc import Iterator
from typing import Final

_ROUND: Final = 8  # responses of one round
_MAX_FUTILE_CUTS: Final = 3  # halvings without effect after which the effort is not the cause
_STEP: Final = 1 / 16  # added to the effort after a good round
_SLACK: Final = 0.005  # seconds by which responses may always be slower than the baseline
_USER_SAMPLES: Final = 64  # response times of users from before the warming


class _Latency:
    """Response times from one source, compared with a baseline, in seconds."""

    def __init__(self, baseline: float | None = None, *, learns: bool = True) -> None:
        """``learns``: whether faster responses lower the baseline."""
        self.baseline, self._learns = baseline, learns
        self._round: collections.deque[float] = collections.deque(maxlen=2 * _ROUND)
        self._at_first_cut: float | None = None  # median when the effort was first cut
        self._futile_cuts = 0

    def add(self, seconds: float) -> None:
        """Add one response time."""
        self._round.append(seconds)

    def is_slow(self, factor: float) -> bool:
        """Return whether this round was slower than the baseline, and begin another round."""
        if len(self._round) < _ROUND // 2:
            return False
        median = statistics.median(self._round)
        self._round.clear()
        if self.baseline is None:
            self.baseline = median
        if median <= factor * self.baseline + _SLACK:
            if self._learns:
                self.baseline = min(self.baseline, max(median, 0.9 * self.baseline))
            self._at_first_cut = None
            return False
        if self._at_first_cut is None or median <= 0.8 * self._at_first_cut:
            self._at_first_cut, self._futile_cuts = median, 0
            return True
        self._futile_cuts += 1
        if self._futile_cuts < _MAX_FUTILE_CUTS:
            return True
        self.baseline, self._at_first_cut = median, None
        return False


class Budget:
    """The requests of all warmings together. Each running one has an equal share."""

    def __init__(self, *, rate: float, concurrency: int) -> None:
        """``rate``: requests per second; ``concurrency``: requests that may be open."""
        self._rate, self._concurrency = rate, concurrency
        self._running = 0

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Take part in the budget meanwhile."""
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    @property
    def rate(self) -> float:
        """Requests per second of one warming."""
        return self._rate / max(1, self._running)

    @property
    def concurrency(self) -> int:
        """Open requests of one warming."""
        return max(1, self._concurrency // max(1, self._running))


class RateLimiter:
    """Learns from each response how many requests may be open, and when to send the next."""

    def __init__(
        self,
        *,
        max_rate: float,
        min_rate: float,
        max_concurrency: int,
        slow_factor: float,
        user_baseline: float | None = None,
        budget: Budget | None = None,
    ) -> None:
        """Rates in requests per second; ``user_baseline``: median response time of users, in s.

        ``budget``: further limits, which depend on the other warmings.
        """
        self._budget = budget or Budget(rate=max_rate, concurrency=max_concurrency)
        self._max_rate, self._min_rate = max_rate, min(min_rate, max_rate)
        self._max_concurrency, self._factor = max_concurrency, slow_factor
        self._floor = self._min_rate / max_rate
        # One request at a time, so that the baseline does not include the warmer's own queue.
        self.effort = min(1.0, max(self._floor, 1 / max_concurrency))
        self._doubling = True
        self._fetches = _Latency()
        # Users get hits during the warming: these must not lower the baseline of their misses.
        self._users = _Latency(user_baseline, learns=False)
        self._responses = self._failures = 0
        self._next = 0.0

    @property
    def concurrency(self) -> int:
        """The number of requests that may be open."""
        own = max(1, round(self.effort * self._max_concurrency))
        return min(own, self._budget.concurrency)

    @property
    def rate(self) -> float:
        """The present rate in requests per second."""
        return min(max(self._min_rate, self.effort * self._max_rate), self._budget.rate)

    def delay(self, now: float) -> float:
        """Return the seconds until the next request may be sent."""
        return max(0.0, self._next - now)

    def record_sent(self, now: float) -> None:
        """Record a sent request. An unused rate can be made up for 0.1 s, not longer."""
        self._next = max(self._next, now - 0.1) + 1 / self.rate

    def reserve(self, now: float) -> float:
        """Take the next place for a request; return the seconds until it may be sent."""
        delay = self.delay(now)
        self.record_sent(now)
        return delay

    def record_response(self, first_byte: float) -> None:
        """Record a response of the guest to the warmer; seconds to the first byte."""
        self._fetches.add(first_byte)
        self._count()

    def record_failure(self) -> None:
        """Record an error response or a missing response."""
        self._failures += 1
        self._count()

    def record_user(self, seconds: float) -> None:
        """Record the response time of a user's request."""
        self._users.add(seconds)

    def _count(self) -> None:
        self._responses += 1
        if self._responses >= max(_ROUND, self.concurrency):
            self._end_round()
            self._responses = self._failures = 0

    def _end_round(self) -> None:
        # Call both, so that both begin another round.
        slow = [self._fetches.is_slow(self._factor), self._users.is_slow(self._factor)]
        if any(slow) or 2 * self._failures > self._responses:
            self.effort = max(self._floor, self.effort / 2)
            self._doubling = False
        elif self._doubling:
            self.effort = min(1.0, 2 * self.effort)
        else:
            self.effort = min(1.0, self.effort + _STEP)


class UserLatency:
    """The recent response times of one service's users, outside of a warming."""

    def __init__(self) -> None:
        self._times: collections.deque[float] = collections.deque(maxlen=_USER_SAMPLES)

    def add(self, seconds: float) -> None:
        """Add one response time."""
        self._times.append(seconds)

    def median(self) -> float | None:
        """Return the median in seconds; None with too few samples."""
        return statistics.median(self._times) if len(self._times) >= _ROUND else None
