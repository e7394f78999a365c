"""The hot set: the pages that users of each service are about to need, the most needed first."""

from __future__ import annotations

import collections
import dataclasses
import math
import random

from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import Rates
from nova_cachemig.popularity.sessions import Session, Sessions
from nova_cachemig.popularity.table import PageTable

_READS = frozenset({"GET", "HEAD"})


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and time constants; seconds where times. The defaults are those of ``[warm]``."""

    pages_per_service: int = 20_000
    pages: int = 200_000  # of all services
    services: int = 1_000
    clients: int = 2_000  # sessions of a service that are known at a time
    url_length: int = 2_048
    half_lives: tuple[float, ...] = (600.0, 3_600.0, 21_600.0)
    horizon: float = 300.0  # how far ahead need is foreseen
    session_idle: float = 300.0  # a session is over after so long without a request
    session_half_life: float = 120.0  # of the expectation that a client goes on
    novel_pages: int = 200  # unseen pages of one client a session_idle: more is a scanner
    refused_for: float = 3_600.0  # a page that cannot be cached is not tried again before
    refused: int = 5_000  # such pages known, of a service


class _Site:
    """All that is known of one service."""

    def __init__(self, limits: Limits, start: float, draw: random.Random) -> None:
        self.rates = Rates(limits.half_lives, start)
        self.table = PageTable(self.rates, limits.pages_per_service, draw)
        self.sessions = Sessions(
            limits.clients, limits.session_idle, limits.session_half_life, start
        )
        self.refused: collections.OrderedDict[PageKey, float] = collections.OrderedDict()

    def rescale(self, now: float) -> None:
        pages = self.table.pages
        self.rates.rescale(pages, now)
        self.sessions.rescale(pages, now)


class HotSet:
    """Learns from the access log and ranks pages. Not thread-safe; never waits; reads no clock."""

    def __init__(self, limits: Limits | None = None, seed: int | None = None) -> None:
        """``seed`` makes the choice of pages to push out repeatable, for tests and benchmarks."""
        self._limits = limits or Limits()
        self._sites: collections.OrderedDict[str, _Site] = collections.OrderedDict()
        self._draw = random.Random(seed)
        self._total = 0  # pages kept, of all services

    def __len__(self) -> int:
        """Pages kept, of all services."""
        return self._total

    def saw(self, record: AccessRecord) -> None:
        """Learn from one request.

        Counted are GET and HEAD without a cookie that were answered with 2xx or 3xx (304: the
        client had the page, the next client has not; 206: a part, of a page that is in demand).
        Errors say nothing: the guest may be failing, or one client not be allowed. A page that is
        gone costs the warmer one request, whose answer it tells by :meth:`refused`.
        """
        if record.method not in _READS or record.has_cookie or not math.isfinite(record.at):
            return
        if len(record.url) > self._limits.url_length or not record.url.startswith("/"):
            return
        if 200 <= record.status < 400:
            self._count(PageKey(record.service, record.host, record.url), record)

    def _count(self, key: PageKey, record: AccessRecord) -> None:
        now = record.at
        site = self._site(key.service, now)
        session = site.sessions.of(record.client, now)
        page = self._admit(site, key, session, now)
        if page is not None:
            site.sessions.saw(session, page, now)

    def _site(self, service: str, now: float) -> _Site:
        site = self._sites.get(service)
        if site is None:
            while len(self._sites) >= self._limits.services:
                self._total -= len(self._sites.popitem(last=False)[1].table)
            site = self._sites[service] = _Site(self._limits, now, self._draw)
        self._sites.move_to_end(service)
        site.rescale(now)
        return site

    def _admit(self, site: _Site, key: PageKey, session: Session, now: float) -> Page | None:
        table = site.table
        known = table.get(key)
        if known is None:
            session.novel += 1
            if self._total >= self._limits.pages and len(table) < table.capacity:
                self._make_room(now)
        # One client's repetition is no sign that others need the page.
        again = known is not None and known in session.seen
        trusted = session.novel <= self._limits.novel_pages and not again
        before = len(table)
        page = table.count(key, now, trusted=trusted)
        self._total += len(table) - before
        return page

    def _make_room(self, now: float) -> None:
        """One page less in the largest service: so that no service starves the others."""
        largest = max((site.table for site in self._sites.values()), key=len)
        before = len(largest)
        largest.push_out(now)
        self._total -= before - len(largest)

    def refused(self, page: PageKey, now: float) -> None:
        """The warmer found that no cache may keep this page: leave it out for a while."""
        site = self._sites.get(page.service)
        if site is None:
            return
        site.refused[page] = now + self._limits.refused_for
        site.refused.move_to_end(page)
        if len(site.refused) > self._limits.refused:
            site.refused.popitem(last=False)

    def is_refused(self, page: PageKey, now: float) -> bool:
        """Whether the page was refused not long ago."""
        site = self._sites.get(page.service)
        return site is not None and site.refused.get(page, -math.inf) > now

    def knows(self, page: PageKey) -> bool:
        """Whether the page is kept."""
        site = self._sites.get(page.service)
        return site is not None and page in site.table

    def rank(
        self, service: str, now: float, limit: int, horizon: float | None = None
    ) -> list[PageKey]:
        """The pages that users need in the next ``horizon`` seconds, the most needed first.

        A page's need is the number of requests expected for it: those by its popularity and those
        by clients whose present session leads to it. Refused pages are left out.
        """
        site = self._sites.get(service)
        if site is None or limit <= 0:
            return []
        horizon = self._limits.horizon if horizon is None else horizon
        scale = site.rates.scale(now, horizon)
        clock = site.sessions.clock
        soon = (1.0 - 2.0 ** (-horizon / clock.half_life)) / clock.unit(now)
        pages = site.table.pages()
        if site.refused:
            pages = [page for page in pages if site.refused.get(page.key, -math.inf) <= now]
        needs = [soon * page.expected for page in pages]
        for expert, factor in enumerate(scale):
            needs = [
                need + factor * page.counts[expert] for need, page in zip(needs, pages, strict=True)
            ]
        first = sorted(range(len(pages)), key=needs.__getitem__, reverse=True)[:limit]
        return [pages[i].key for i in first]

    def forget(self, service: str) -> None:
        """The service is no more, or its pages are not what they were."""
        site = self._sites.pop(service, None)
        if site is not None:
            self._total -= len(site.table)
