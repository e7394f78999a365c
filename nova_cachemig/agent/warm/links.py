"""The queue of pages that no user has requested yet, but that needed pages link to."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from nova_cachemig.model.access import PageKey


class LinkQueue:
    """The linked pages of one service in one handover, ordered by the rank of the linking page.

    A user of a popular page is likely to click there. As each fetch is a guess, their number and
    their size are bounded. Issued pages count towards the bounds; waiting pages are replaced by
    pages of a better rank.
    """

    def __init__(self, max_pages: int, max_bytes: int) -> None:
        """Issue at most ``max_pages``, and none after their size has reached ``max_bytes``."""
        self._max_pages, self._max_bytes = max_pages, max_bytes
        self._ranking: Sequence[PageKey] = ()
        self._ranks: dict[PageKey, int] | None = None  # of the ranking; computed when needed
        self._waiting: list[tuple[float, int, PageKey]] = []  # sorted
        self._keys: dict[PageKey, tuple[float, int]] = {}  # of the waiting pages
        self._issued: dict[PageKey, int] = {}  # page -> size in bytes, 0 while it is unknown
        self._order = itertools.count()  # keeps the order of the links of one page

    def __len__(self) -> int:
        """Return the number of waiting pages."""
        return len(self._waiting)

    def set_ranking(self, pages: Sequence[PageKey]) -> None:
        """Set the pages that users need, the most needed first; their links have this order."""
        self._ranking, self._ranks = pages, None

    def add(self, source: PageKey, pages: Iterable[PageKey]) -> None:
        """Add the pages that ``source`` links to, in this order."""
        if self._ranks is None:
            self._ranks = {page: rank for rank, page in enumerate(self._ranking)}
        rank = self._ranks.get(source, math.inf)
        for page in pages:
            if page not in self._issued:
                self._insert(page, rank)

    def _insert(self, page: PageKey, rank: float) -> None:
        old = self._keys.get(page)
        if old is not None:
            if old[0] <= rank:
                return
            del self._waiting[bisect.bisect_left(self._waiting, old, key=lambda e: e[:2])]
        key = self._keys[page] = (rank, next(self._order))
        bisect.insort(self._waiting, (*key, page), key=lambda e: e[:2])
        if len(self._waiting) > max(0, self._max_pages - len(self._issued)):
            del self._keys[self._waiting.pop()[2]]

    def issue(self, limit: int) -> list[PageKey]:
        """Remove and return the next pages, the most needed first."""
        if sum(self._issued.values()) >= self._max_bytes:
            return []
        pages = [page for _, _, page in self._waiting[:limit]]
        del self._waiting[: len(pages)]
        for page in pages:
            del self._keys[page]
            self._issued[page] = 0
        return pages

    def record_size(self, page: PageKey, size: int) -> None:
        """Record the bytes that a stored page takes in the cache, if it was issued."""
        if page in self._issued:
            self._issued[page] = size

    def issued(self) -> Iterator[PageKey]:
        """Return all issued pages."""
        return iter(self._issued)
