"""What one warming has put into the cache, and until when it can be used. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from nova_cachemig.model.access import PageKey

_LEAST = 0.5  # seconds: not sooner, however short a page lasts


class RefreshQueue:
    """The stored pages of one service, in a present handover. Times are loop time, seconds."""

    def __init__(self) -> None:
        self._renew: dict[PageKey, float] = {}
        self._due: list[tuple[float, int, PageKey]] = []  # a heap; some entries are out of date
        self._voided: dict[str, float] = {}  # URL -> when a write last changed it
        self._puts = 0  # makes the heap's entries comparable
        self._by_url: dict[str, set[PageKey]] = {}

    def __len__(self) -> int:
        return len(self._renew)

    def __contains__(self, page: PageKey) -> bool:
        return page in self._renew

    def put(self, page: PageKey, now: float, usable: float, ahead: float) -> None:
        """Asked for at ``now``, usable for so long; renew it ``ahead`` s before that ends.

        Not if it was voided since it was asked for: the cache stored what nobody will find.
        What is usable for less than twice ``ahead`` is renewed at half of its time.
        """
        if self._voided.get(page.url, -math.inf) >= now:
            return
        renew = now + max(usable - ahead, usable / 2, _LEAST)
        self._renew[page] = renew
        self._puts += 1
        heapq.heappush(self._due, (renew, self._puts, page))
        self._by_url.setdefault(page.url, set()).add(page)

    def void(self, url: str, now: float) -> list[PageKey]:
        """A write changed the URL: take its pages, of whatever host, and return them."""
        self._voided[url] = now
        pages = list(self._by_url.get(url, ()))
        for page in pages:
            self.take(page)
        return pages

    def take(self, page: PageKey) -> None:
        """It is not there any more."""
        if self._renew.pop(page, None) is not None:
            pages = self._by_url[page.url]
            pages.discard(page)
            if not pages:
                del self._by_url[page.url]

    def due(self, now: float) -> Iterator[PageKey]:
        """The pages to renew, each told once; the most urgent first."""
        while self._due and self._due[0][0] <= now:
            renew, _, page = heapq.heappop(self._due)
            if self._renew.get(page) == renew:
                yield page
