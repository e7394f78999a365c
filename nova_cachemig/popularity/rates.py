"""The request rate of each page: decayed counts, and the half-lives that suit the service.

On a site whose pages live for years, plain counts predict best; on a news site, the last minutes
do. Each page therefore has a decayed count for each half-life, and a plain count. Each of these is
an *expert*: it gives the probability that a page is the next one requested. The experts are mixed
by the quality of their predictions so far (Bayes' rule). A small fixed share goes back to all of
them, so that another expert can take over when the site changes (Herbster and Warmuth, 1998).

Decay costs nothing per page: the old counts do not shrink, but new counts grow. A request at time t
adds 2 ** ((t - landmark) / half-life) (forward decay: Cormode et al., 2009). The landmark moves
before that number overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nova_cachemig.popularity.page import Page

_SHARED = 0.002  # share of the weights that is redistributed evenly at each request
_MIN_PROBABILITY = 1e-9  # of a page, for every expert
_MAX_DOUBLINGS = 400.0  # a float holds 1023; counts add up


class ForwardDecay:
    """The growing weight of events for one half-life (s); ``math.inf`` never decays."""

    def __init__(self, half_life: float, start: float) -> None:
        self.half_life = half_life
        self._landmark = start

    def weight(self, now: float) -> float:
        """Return the weight of one event at ``now``, which may also be in the past."""
        doublings = (now - self._landmark) / self.half_life
        return 2.0 ** max(-_MAX_DOUBLINGS, min(doublings, _MAX_DOUBLINGS))

    def rescale(self, now: float) -> float | None:
        """Move the landmark if it is time; return the factor for every stored number, or None."""
        if (now - self._landmark) / self.half_life < _MAX_DOUBLINGS:
            return None
        factor = 1.0 / self.weight(now)
        self._landmark = now
        return factor


class Rates:
    """The decayed counts of one service's pages, and the mixture of experts over them."""

    def __init__(self, half_lives: Sequence[float], start: float) -> None:
        """``half_lives`` in seconds; ``start``, the time of the first request, in UNIX seconds."""
        self._decays = [ForwardDecay(h, start) for h in (*half_lives, math.inf)]
        self._totals = [0.0] * len(self._decays)
        self._weights = [1.0 / len(self._decays)] * len(self._decays)
        self._start = start
        self._shortest = min(range(len(half_lives)), key=lambda i: half_lives[i])
        self._longest = max(range(len(half_lives)), key=lambda i: half_lives[i])

    @property
    def experts(self) -> int:
        """The number of counts of a page: the half-lives and the plain count."""
        return len(self._decays)

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each expert, 1 in total; the plain count is the last."""
        return tuple(self._weights)

    def count(self, page: Page, now: float) -> None:
        """Count one request for the page."""
        counts = page.counts
        if counts[-1]:
            self._update_weights(counts)
        for i, decay in enumerate(self._decays):
            weight = decay.weight(now)
            counts[i] += weight
            self._totals[i] += weight

    def _update_weights(self, counts: Sequence[float]) -> None:
        posterior = [
            weight * (count / total + _MIN_PROBABILITY)
            for weight, count, total in zip(self._weights, counts, self._totals, strict=True)
        ]
        norm, share = (1.0 - _SHARED) / sum(posterior), _SHARED / len(posterior)
        self._weights = [norm * p + share for p in posterior]

    def rescale(self, pages: Callable[[], list[Page]], now: float) -> None:
        """Move the landmarks if it is time, which is rare."""
        for i, decay in enumerate(self._decays):
            factor = decay.rescale(now)
            if factor is not None:
                self._totals[i] *= factor
                for page in pages():
                    page.counts[i] *= factor

    def remove(self, page: Page) -> None:
        """Subtract the counts of an evicted page from the totals."""
        for i, count in enumerate(page.counts):
            self._totals[i] = max(0.0, self._totals[i] - count)

    def per_second(self, now: float) -> float:
        """Return the requests per second for all pages, by the shortest half-life."""
        decay, elapsed = self._decays[self._shortest], max(1.0, now - self._start)
        mean_life = decay.half_life / math.log(2)
        observed = mean_life * -math.expm1(-elapsed / mean_life)
        return self._totals[self._shortest] / decay.weight(now) / observed

    def factors(self, now: float, horizon: float) -> list[float]:
        """Return a_i such that a page gets sum(a_i * counts_i) requests in ``horizon`` seconds."""
        requests = self.per_second(now) * horizon
        return [
            requests * weight / total if total > 0 else 0.0
            for weight, total in zip(self._weights, self._totals, strict=True)
        ]

    def decayed_count(self, page: Page, now: float) -> float:
        """Return the page's requests, decayed by the longest finite half-life."""
        return page.counts[self._longest] / self._decays[self._longest].weight(now)
