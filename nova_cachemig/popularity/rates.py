"""How often each page is asked for: decayed counts, and which decay suits this service.

A site whose pages live for years is best told by plain counts, a news site by the last minutes. So
each page has a decayed count for each half-life and a plain one, and each of these is an *expert*
that says how likely a page is the next one asked for. The experts are mixed by how well each
foretold the requests that came (Bayes' rule; a small fixed share goes back to all, Herbster and
Warmuth 1998, so that another expert can take over when the site changes).

Decay costs nothing per page: instead of shrinking what is there, new counts grow. A count at time
t adds 2 ** ((t - landmark) / half-life) (Cormode et al., forward decay, 2009); the landmark moves
before that overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nova_cachemig.popularity.page import Page

_SHARE = 0.002  # of the weights, dealt out evenly again at each request
_FLOOR = 1e-9  # likelihood that an expert gives at least
_MOST_DOUBLINGS = 400.0  # a float holds 1023; counts add up


class Clock:
    """Growing units for one half-life (s); ``math.inf`` for one that never decays."""

    def __init__(self, half_life: float, start: float) -> None:
        self.half_life = half_life
        self._landmark = start

    def unit(self, now: float) -> float:
        """What one event at ``now`` adds. Old moments are fine, down to nothing."""
        doublings = (now - self._landmark) / self.half_life
        return 2.0 ** max(-_MOST_DOUBLINGS, min(doublings, _MOST_DOUBLINGS))

    def due(self, now: float) -> float | None:
        """The factor for every stored figure when the landmark must move, and move it; or None."""
        if (now - self._landmark) / self.half_life < _MOST_DOUBLINGS:
            return None
        factor = 1.0 / self.unit(now)
        self._landmark = now
        return factor


class Rates:
    """The decayed counts of one service's pages and the mixture of experts over them."""

    def __init__(self, half_lives: Sequence[float], start: float) -> None:
        """``half_lives`` in seconds, ``start`` in UNIX seconds: the first request."""
        self._clocks = [Clock(h, start) for h in (*half_lives, math.inf)]
        self._totals = [0.0] * len(self._clocks)
        self._weights = [1.0 / len(self._clocks)] * len(self._clocks)
        self._start = start
        self._pace = min(range(len(half_lives)), key=lambda i: half_lives[i])
        self._longest = max(range(len(half_lives)), key=lambda i: half_lives[i])

    @property
    def experts(self) -> int:
        """How many figures a page has: the half-lives and the plain count."""
        return len(self._clocks)

    @property
    def weights(self) -> tuple[float, ...]:
        """The trust in each expert, of 1 in all; the plain count is the last."""
        return tuple(self._weights)

    def count(self, page: Page, now: float) -> None:
        """One request for the page."""
        counts = page.counts
        if counts[-1]:
            self._learn(counts)
        for i, clock in enumerate(self._clocks):
            unit = clock.unit(now)
            counts[i] += unit
            self._totals[i] += unit

    def _learn(self, counts: Sequence[float]) -> None:
        said = [
            weight * (count / total + _FLOOR)
            for weight, count, total in zip(self._weights, counts, self._totals, strict=True)
        ]
        norm, share = (1.0 - _SHARE) / sum(said), _SHARE / len(said)
        self._weights = [norm * s + share for s in said]

    def rescale(self, pages: Callable[[], list[Page]], now: float) -> None:
        """Move landmarks that are due; seldom does anything."""
        for i, clock in enumerate(self._clocks):
            factor = clock.due(now)
            if factor is not None:
                self._totals[i] *= factor
                for page in pages():
                    page.counts[i] *= factor

    def drop(self, page: Page) -> None:
        """The page lost its place: its requests are no longer part of the whole."""
        for i, count in enumerate(page.counts):
            self._totals[i] = max(0.0, self._totals[i] - count)

    def per_second(self, now: float) -> float:
        """Requests a second of all pages, by the shortest half-life."""
        clock, elapsed = self._clocks[self._pace], max(1.0, now - self._start)
        mean_life = clock.half_life / math.log(2)
        seen = mean_life * -math.expm1(-elapsed / mean_life)
        return self._totals[self._pace] / clock.unit(now) / seen

    def scale(self, now: float, horizon: float) -> list[float]:
        """Factors a_i: a page is asked for sum(a_i * counts_i) times in the next ``horizon`` s."""
        requests = self.per_second(now) * horizon
        return [
            requests * weight / total if total > 0 else 0.0
            for weight, total in zip(self._weights, self._totals, strict=True)
        ]

    def decayed(self, page: Page, now: float) -> float:
        """The page's requests by the longest half-life that ends."""
        return page.counts[self._longest] / self._clocks[self._longest].unit(now)
