"""The pages of a service in bounded memory: which are admitted, and which are evicted.

Endless distinct URLs (random query strings, a scanner, a crawler) must not evict the pages that
users need. LRU and Space-Saving fail here. With LRU every new URL evicts a page; with Space-Saving
a flood raises the lowest count until it exceeds the counts of hot pages.

Admission therefore follows W-TinyLFU (Einziger, Friedman, Manes, 2017):

* A new page enters a small window, which is LRU.
* A page that leaves the window is compared with the weakest of a few random pages of the main part.
  It replaces that page only if it was requested more often. On a tie the older page stays.
* The comparison uses a sketch of frequencies, which counts pages without storing them.
* Repeated requests of one client for a page do not count, nor do those of a client that requests
  too many unknown pages.
"""

from __future__ import annotations

import collections
import random

from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import Rates
from nova_cachemig.popularity.sketch import FrequencySketch

_WINDOW_SHARE = 20  # the window has 1 / 20 of the capacity
_SAMPLE = 16  # random pages of which the weakest may be evicted


class PageTable:
    """At most ``capacity`` pages of one service."""

    def __init__(self, rates: Rates, capacity: int, rng: random.Random) -> None:
        self._rates, self._rng = rates, rng
        self.capacity = capacity
        self._window_size = max(1, capacity // _WINDOW_SHARE)
        self._pages: dict[PageKey, Page] = {}
        self._window: collections.OrderedDict[Page, None] = collections.OrderedDict()
        self._main: list[Page] = []
        self._sketch: FrequencySketch | None = None  # created when the table is first full

    def __len__(self) -> int:
        return len(self._pages)

    def __contains__(self, key: PageKey) -> bool:
        return key in self._pages

    def pages(self) -> list[Page]:
        """Return all pages, in no particular order."""
        return list(self._pages.values())

    def get(self, key: PageKey) -> Page | None:
        """Return the page, or None."""
        return self._pages.get(key)

    def count(self, key: PageKey, now: float, *, trusted: bool) -> Page | None:
        """Count one request; return None if the page was not admitted.

        ``trusted`` requests count in the comparison of frequencies.
        """
        if self._sketch is not None and trusted:
            self._sketch.add(key)
        page = self._pages.get(key)
        if page is None:
            if not trusted and self._sketch is not None:
                return None
            page = self._admit(key, now)
        elif page.slot < 0:
            self._window.move_to_end(page)
        self._rates.count(page, now)
        return page

    def _admit(self, key: PageKey, now: float) -> Page:
        page = Page(key, self._rates.experts)
        if len(self._pages) >= self.capacity:
            if self._sketch is None:
                self._sketch = self._sketch_of_window(now)
                self._sketch.add(key)
            self._evict(now)
        self._pages[key] = page
        self._window[page] = None
        if len(self._window) > self._window_size and len(self._pages) < self.capacity:
            self._promote(self._window.popitem(last=False)[0])
        return page

    def _sketch_of_window(self, now: float) -> FrequencySketch:
        """Return a sketch with the counts of the window, of which none existed until now."""
        sketch = FrequencySketch(self.capacity)
        for page in self._window:
            for _ in range(min(15, round(self._rates.decayed_count(page, now)))):
                sketch.add(page.key)
        return sketch

    def _promote(self, page: Page) -> None:
        page.slot = len(self._main)
        self._main.append(page)

    def _evict(self, now: float) -> None:
        if not self._window:
            self._remove(self._weakest(now))
            return
        candidate = next(iter(self._window))
        if not self._main:
            self._remove(candidate)
            return
        weakest = self._weakest(now)
        if self._strength(candidate, now) > self._strength(weakest, now):
            self._remove(weakest)
            del self._window[candidate]
            self._promote(candidate)
        else:
            self._remove(candidate)

    def evict(self, now: float) -> None:
        """Evict one page, in favour of another service."""
        if self._pages:
            self._evict(now)

    def _weakest(self, now: float) -> Page:
        sample = (self._main[self._rng.randrange(len(self._main))] for _ in range(_SAMPLE))
        return min(sample, key=lambda page: self._rates.decayed_count(page, now))

    def _strength(self, page: Page, now: float) -> float:
        frequency = self._sketch.estimate(page.key) if self._sketch is not None else 0
        if page.slot < 0:  # in the window: only trusted requests count
            return frequency
        return max(frequency, self._rates.decayed_count(page, now))

    def _remove(self, page: Page) -> None:
        del self._pages[page.key]
        if page.slot < 0:
            del self._window[page]
        else:
            last = self._main.pop()
            if last is not page:
                self._main[page.slot] = last
                last.slot = page.slot
        page.kept = False
        page.followers = {}
        self._rates.remove(page)
