"""Pages that nobody has asked for yet, but to which pages that are needed link."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

from nova_cachemig.model.access import PageKey


class Links:
    """Of one service in one handover: first those to which the most needed pages link.

    A user of a popular page is about to click there. Bounded in pages and in bytes, as each is a
    guess: what was given out stays counted, what waits gives way to what ranks better.
    """

    def __init__(self, pages: int, size: int) -> None:
        """``pages`` given out at most; none any more once they came to ``size`` bytes."""
        self._limit, self._size_limit = pages, size
        self._known: Sequence[PageKey] = ()
        self._ranks: dict[PageKey, int] | None = None  # of the known pages; made when needed
        self._waiting: list[tuple[float, int, PageKey]] = []  # sorted
        self._keys: dict[PageKey, tuple[float, int]] = {}  # of what waits
        self._given: dict[PageKey, int] = {}  # -> its size in bytes, 0 before it is known
        self._order = itertools.count()  # of the links of one page: as they stand in it

    def __len__(self) -> int:
        """Pages that wait."""
        return len(self._waiting)

    def rank(self, known: Sequence[PageKey]) -> None:
        """Pages that users need, the most needed first: their order is that of their links."""
        self._known, self._ranks = known, None

    def add(self, source: PageKey, pages: Iterable[PageKey]) -> None:
        """``source`` links to these, in this order."""
        if self._ranks is None:
            self._ranks = {page: rank for rank, page in enumerate(self._known)}
        rank = self._ranks.get(source, math.inf)
        for page in pages:
            if page not in self._given:
                self._put(page, rank)

    def _put(self, page: PageKey, rank: float) -> None:
        old = self._keys.get(page)
        if old is not None:
            if old[0] <= rank:
                return
            del self._waiting[bisect.bisect_left(self._waiting, old, key=lambda e: e[:2])]
        key = self._keys[page] = (rank, next(self._order))
        bisect.insort(self._waiting, (*key, page), key=lambda e: e[:2])
        if len(self._waiting) > max(0, self._limit - len(self._given)):
            del self._keys[self._waiting.pop()[2]]

    def take(self, most: int) -> list[PageKey]:
        """Give out the next pages, the most needed first."""
        if sum(self._given.values()) >= self._size_limit:
            return []
        pages = [page for _, _, page in self._waiting[:most]]
        del self._waiting[: len(pages)]
        for page in pages:
            del self._keys[page]
            self._given[page] = 0
        return pages

    def stored(self, page: PageKey, size: int) -> None:
        """The page, if it was given out, takes so many bytes of the cache."""
        if page in self._given:
            self._given[page] = size

    def given(self) -> Iterator[PageKey]:
        """All that was given out."""
        return iter(self._given)
