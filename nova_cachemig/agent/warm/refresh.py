"""The pages that one warming stored in the cache, and the times of their refresh. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from nova_cachemig.model import paths
from nova_cachemig.model.access import PageKey

_MIN_INTERVAL = 0.5  # seconds between two fetches of a page, however short its lifetime
_MAX_WATCHED = 1000


class RefreshQueue:
    """The stored pages of one service in one handover. All times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._refresh_at: dict[PageKey, float] = {}
        self._heap: list[tuple[float, int, PageKey]] = []  # some entries are outdated
        self._invalidated_at: dict[bytes, float] = {}  # path -> time of the last write to it
        self._entries = 0  # makes the heap's entries comparable
        self._by_path: dict[bytes, set[PageKey]] = {}
        self._watched: dict[PageKey, None] = {}  # not stored, in order

    def __len__(self) -> int:
        return len(self._refresh_at)

    def __contains__(self, page: PageKey) -> bool:
        return page in self._refresh_at

    def add(self, page: PageKey, requested: float, lifetime: float, margin: float) -> None:
        """Add a stored page; refresh it ``margin`` seconds before the end of its lifetime.

        A page with a lifetime below twice the ``margin`` is refreshed after half of its lifetime. A
        page that a write invalidated since it was requested is not added: the cache stored it under
        an outdated epoch, where no client finds it.
        """
        if self.is_outdated(page, requested):
            return
        path = paths.canonical(page.url)
        self._watched.pop(page, None)
        refresh_at = requested + max(lifetime - margin, lifetime / 2, _MIN_INTERVAL)
        self._refresh_at[page] = refresh_at
        self._entries += 1
        heapq.heappush(self._heap, (refresh_at, self._entries, page))
        self._by_path.setdefault(path, set()).add(page)

    def is_outdated(self, page: PageKey, requested: float) -> bool:
        """Return whether a write has invalidated the page since it was requested."""
        return self._invalidated_at.get(paths.canonical(page.url), -math.inf) >= requested

    def watch(self, page: PageKey) -> None:
        """Have the next :meth:`invalidate` return a page that is not stored.

        A page can change during its proof because of a write. The response to the write, which
        invalidates the page, can come after the proof has failed.
        """
        if page in self._refresh_at:
            return
        self._watched[page] = None
        self._by_path.setdefault(paths.canonical(page.url), set()).add(page)
        if len(self._watched) > _MAX_WATCHED:
            self.remove(next(iter(self._watched)))

    def invalidate(self, url: str, now: float) -> list[PageKey]:
        """Remove and return the pages of a URL's path, with any query, after a write to it."""
        path = paths.canonical(url)
        self._invalidated_at[path] = now
        pages = list(self._by_path.get(path, ()))
        for page in pages:
            self.remove(page)
        return pages

    def remove(self, page: PageKey) -> None:
        """Remove a page that is no longer stored."""
        self._refresh_at.pop(page, None)
        self._watched.pop(page, None)
        path = paths.canonical(page.url)
        pages = self._by_path.get(path, set())
        pages.discard(page)
        if not pages:
            self._by_path.pop(path, None)

    def pop_due(self, now: float) -> Iterator[PageKey]:
        """Yield the pages to refresh, each once, the most urgent first."""
        while self._heap and self._heap[0][0] <= now:
            refresh_at, _, page = heapq.heappop(self._heap)
            if self._refresh_at.get(page) == refresh_at:
                yield page
