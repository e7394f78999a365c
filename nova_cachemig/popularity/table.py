"""Which pages of a service are kept, when there are more than there is room for.

Endless distinct URLs (random query strings, a scanner, a crawler) must not push out what people
use. Least recently used and Space-Saving fail here: in the first every new URL pushes one out, in
the second a flood lifts the least count until it passes the hot pages' own. So admission follows
W-TinyLFU (Einziger, Friedman, Manes, 2017): a new page enters a small window, least recently used
first; when it leaves the window it takes the place of the weakest of a few random pages of the
main part only if it was asked for more often than that one, by a sketch of frequencies that
remembers pages without keeping them. Ties go to who is there. Requests by a client that brings
ever new pages, or asks for one again, do not count in that contest.
"""

from __future__ import annotations

import collections
import random

from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import Rates
from nova_cachemig.popularity.sketch import FrequencySketch

_WINDOW = 20  # one page in so many is in the window
_DRAWN = 16  # random pages of which the weakest may be pushed out


class PageTable:
    """At most ``capacity`` pages of one service."""

    def __init__(self, rates: Rates, capacity: int, draw: random.Random) -> None:
        self._rates, self._draw = rates, draw
        self.capacity = capacity
        self._window_size = max(1, capacity // _WINDOW)
        self._pages: dict[PageKey, Page] = {}
        self._window: collections.OrderedDict[Page, None] = collections.OrderedDict()
        self._main: list[Page] = []
        self._sketch: FrequencySketch | None = None  # made when the table is first full

    def __len__(self) -> int:
        return len(self._pages)

    def __contains__(self, key: PageKey) -> bool:
        return key in self._pages

    def pages(self) -> list[Page]:
        """All that are kept, in no order."""
        return list(self._pages.values())

    def get(self, key: PageKey) -> Page | None:
        """The page, if it is kept."""
        return self._pages.get(key)

    def count(self, key: PageKey, now: float, *, trusted: bool) -> Page | None:
        """One request; None when the page got no place. ``trusted``: counts in the contest."""
        if self._sketch is not None and trusted:
            self._sketch.add(key)
        page = self._pages.get(key)
        if page is None:
            if not trusted and self._sketch is not None:
                return None
            page = self._enter(key, now)
        elif page.slot < 0:
            self._window.move_to_end(page)
        self._rates.count(page, now)
        return page

    def _enter(self, key: PageKey, now: float) -> Page:
        page = Page(key, self._rates.experts)
        if len(self._pages) >= self.capacity:
            if self._sketch is None:
                self._sketch = self._sketch_of_window(now)
                self._sketch.add(key)
            self._make_room(now)
        self._pages[key] = page
        self._window[page] = None
        if len(self._window) > self._window_size and len(self._pages) < self.capacity:
            self._promote(self._window.popitem(last=False)[0])
        return page

    def _sketch_of_window(self, now: float) -> FrequencySketch:
        """What is in the window had no need of a sketch until now."""
        sketch = FrequencySketch(self.capacity)
        for page in self._window:
            for _ in range(min(15, round(self._rates.decayed(page, now)))):
                sketch.add(page.key)
        return sketch

    def _promote(self, page: Page) -> None:
        page.slot = len(self._main)
        self._main.append(page)

    def _make_room(self, now: float) -> None:
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

    def push_out(self, now: float) -> None:
        """Give up one page, for the sake of another service."""
        if self._pages:
            self._make_room(now)

    def _weakest(self, now: float) -> Page:
        drawn = (self._main[self._draw.randrange(len(self._main))] for _ in range(_DRAWN))
        return min(drawn, key=lambda page: self._rates.decayed(page, now))

    def _strength(self, page: Page, now: float) -> float:
        remembered = self._sketch.estimate(page.key) if self._sketch is not None else 0
        if page.slot < 0:  # a newcomer: only what trusted clients did
            return remembered
        return max(remembered, self._rates.decayed(page, now))

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
        page.follows = {}
        self._rates.drop(page)
