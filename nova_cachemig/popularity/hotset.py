"""The hot set: the pages that users of each service are about to need, the most needed first."""

from __future__ import annotations

import collections
import dataclasses
import math
import random
from collections.abc import Mapping

from nova_cachemig.model import terminator
from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.terminator import Terminator
from nova_cachemig.popularity import askable
from nova_cachemig.popularity.habits import NO_HABITS, Habits, Kind, KindVote, guess_kind, kind_of
from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import Rates
from nova_cachemig.popularity.sessions import Session, Sessions
from nova_cachemig.popularity.table import PageTable

_READS = frozenset({"GET", "HEAD"})


@dataclasses.dataclass(frozen=True, slots=True)
class HotSetLimits:
    """Bounds and time constants; times in seconds. The defaults are those of ``[warm]``."""

    pages_per_service: int = 20_000
    pages: int = 200_000  # of all services
    services: int = 1_000
    clients: int = 2_000  # sessions of one service
    url_length: int = 2_048
    half_lives: tuple[float, ...] = (600.0, 3_600.0, 21_600.0)
    horizon: float = 300.0  # for which the need of a page is estimated
    session_idle: float = 300.0  # without a request, after which a session is over
    session_half_life: float = 120.0  # of an expected request
    novel_pages: int = 200  # unknown pages of one client per session_idle; above, it is a scanner
    refused_for: float = 3_600.0  # for which an uncacheable page is not tried again
    refused: int = 5_000  # uncacheable pages of one service that are remembered
    hosts: int = 100  # of one service, for which the headers of a TLS terminator are remembered
    unfit: int = 10_000  # hashes of URLs of one service that act or have secrets


class _ServicePages:
    """The pages, rates and sessions of one service."""

    def __init__(self, limits: HotSetLimits, start: float, rng: random.Random) -> None:
        self.rates = Rates(limits.half_lives, start)
        self.table = PageTable(self.rates, limits.pages_per_service, rng)
        self.sessions = Sessions(
            limits.clients, limits.session_idle, limits.session_half_life, start
        )
        self.refused_until: collections.OrderedDict[PageKey, float] = collections.OrderedDict()
        self.unfit: collections.OrderedDict[int, None] = collections.OrderedDict()
        self.terminators: dict[str, terminator.Majority] = {}  # by host
        self.habits = Habits()

    def rescale(self, now: float) -> None:
        pages = self.table.pages
        self.rates.rescale(pages, now)
        self.sessions.rescale(pages, now)


class HotSet:
    """Learns from the access log and ranks pages. Not thread-safe; never waits; reads no clock.

    All times are UNIX seconds.
    """

    def __init__(self, limits: HotSetLimits | None = None, seed: int | None = None) -> None:
        """``seed`` makes the evictions repeatable, for tests and benchmarks."""
        self._limits = limits or HotSetLimits()
        self._services: collections.OrderedDict[str, _ServicePages] = collections.OrderedDict()
        self._rng = random.Random(seed)
        self._total = 0  # pages of all services
        self._rules: dict[str, askable.Rules] = {}

    def __len__(self) -> int:
        """Return the number of known pages of all services."""
        return self._total

    def record(self, record: AccessRecord, said: Terminator = terminator.NONE) -> None:
        """Learn from one request, which bore the headers ``said`` of a TLS terminator.

        Counted are GET and HEAD requests that got a 2xx or 3xx response, and that had no cookie or
        were for a page that is the same whatever the cookies. A 304
        counts, because the next client may not have the page; a 206 is a part of a page in demand.
        Errors do not count: the guest may be failing, or one client may lack permission. A page
        that no longer exists costs the warmer one request, which it reports by :meth:`refuse`.

        A URL that may act or has a secret is not stored, see :mod:`.askable`.
        """
        if record.method not in _READS or not math.isfinite(record.at):
            return
        if len(record.url) > self._limits.url_length or not record.url.startswith("/"):
            return
        if 200 <= record.status < 400:
            self._pages_of(record.service, record.at).habits.record(record)
        policy = self.rules(record.service).policy
        if record.has_cookie and not policy.static(record.url):
            return
        if 200 <= record.status < 400:
            url = policy.key_url(record.url)
            self._count(PageKey(record.service, record.host, url), record, said)

    def _count(self, key: PageKey, record: AccessRecord, said: Terminator) -> None:
        now = record.at
        known = self._pages_of(key.service, now)
        verdict = askable.Verdict.ASK if key in known.table else self._judge(known, key)
        if verdict not in {askable.Verdict.ASK, askable.Verdict.QUERY}:
            return
        session = known.sessions.get(record.client, now)
        page = self._admit(known, key, session, now)
        if page is None:
            return
        if verdict is askable.Verdict.QUERY:
            page.only_client = record.client
        elif page.only_client != record.client:
            page.only_client = None
        self._vote(known, page, said)
        self._vote_kind(page, record.accept)
        known.sessions.record(session, page, now)

    def _vote(self, known: _ServicePages, page: Page, said: Terminator) -> None:
        if page.terminator is None and said != terminator.NONE:
            page.terminator = terminator.Majority()
        if page.terminator is not None:
            page.terminator.add(said)
        host = known.terminators.get(page.key.host)
        if host is None:
            if said == terminator.NONE or len(known.terminators) >= self._limits.hosts:
                return
            host = known.terminators[page.key.host] = terminator.Majority()
        host.add(said)

    @staticmethod
    def _vote_kind(page: Page, accept: str) -> None:
        kind = kind_of(accept)
        if page.kind is not None:
            page.kind.add(kind)
        elif accept and kind is not guess_kind(page.key.url):
            page.kind = KindVote(kind)

    def kind(self, page: PageKey) -> Kind:
        """Return what most requests for the page accept."""
        known = self._services.get(page.service)
        found = known.table.get(page) if known is not None else None
        if found is not None and found.kind is not None:
            return found.kind.kind
        return guess_kind(page.url)

    def habits(self, service: str) -> Habits:
        """Return what most users of a service send."""
        known = self._services.get(service)
        return known.habits if known is not None else NO_HABITS

    def terminator(self, page: PageKey) -> Terminator:
        """Return the headers of a TLS terminator that most requests for the page bear.

        Those for its host count if no user has requested the page.
        """
        known = self._services.get(page.service)
        if known is None:
            return terminator.NONE
        found = known.table.get(page)
        votes = found.terminator if found is not None else known.terminators.get(page.host)
        return votes.value if votes is not None else terminator.NONE

    def _judge(self, known: _ServicePages, key: PageKey) -> askable.Verdict:
        """Judge a new page. Of one that may not be stored, only a hash is."""
        digest = hash(key)
        if digest in known.unfit:
            return askable.Verdict.NEVER
        verdict = askable.judge(key.url, rules=self.rules(key.service))
        if verdict not in {askable.Verdict.ASK, askable.Verdict.QUERY}:
            known.unfit[digest] = None
            if len(known.unfit) > self._limits.unfit:
                known.unfit.popitem(last=False)
        return verdict

    def rules(self, service: str) -> askable.Rules:
        """Return the service's own rules for URLs."""
        return self._rules.get(service, askable.NO_RULES)

    def set_rules(self, rules: Mapping[str, askable.Rules]) -> None:
        """Set the rules of the services that have some; pages of changed services are forgotten."""
        for service in rules.keys() | self._rules.keys():
            if rules.get(service, askable.NO_RULES) != self.rules(service):
                self.forget(service)
        self._rules = dict(rules)

    def _pages_of(self, service: str, now: float) -> _ServicePages:
        known = self._services.get(service)
        if known is None:
            while len(self._services) >= self._limits.services:
                self._total -= len(self._services.popitem(last=False)[1].table)
            known = self._services[service] = _ServicePages(self._limits, now, self._rng)
        self._services.move_to_end(service)
        known.rescale(now)
        return known

    def _admit(
        self, known: _ServicePages, key: PageKey, session: Session, now: float
    ) -> Page | None:
        table = known.table
        page = table.get(key)
        if page is None:
            session.novel += 1
            if self._total >= self._limits.pages and len(table) < table.capacity:
                self._evict_from_largest(now)
        # Repeated requests of one client do not show that others need the page.
        repeated = page is not None and page in session.seen
        trusted = session.novel <= self._limits.novel_pages and not repeated
        before = len(table)
        page = table.count(key, now, trusted=trusted)
        self._total += len(table) - before
        return page

    def _evict_from_largest(self, now: float) -> None:
        """Evict one page of the largest service, so that no service starves the others."""
        largest = max((known.table for known in self._services.values()), key=len)
        before = len(largest)
        largest.evict(now)
        self._total -= before - len(largest)

    def refuse(self, page: PageKey, now: float) -> None:
        """Leave a page out of the ranking for a while: the warmer found it uncacheable."""
        known = self._services.get(page.service)
        if known is None:
            return
        known.refused_until[page] = now + self._limits.refused_for
        known.refused_until.move_to_end(page)
        if len(known.refused_until) > self._limits.refused:
            known.refused_until.popitem(last=False)

    def is_refused(self, page: PageKey, now: float) -> bool:
        """Return whether the page is left out now."""
        known = self._services.get(page.service)
        return known is not None and known.refused_until.get(page, -math.inf) > now

    def knows(self, page: PageKey) -> bool:
        """Return whether clients requested the page, enough of them, and it was not evicted."""
        known = self._services.get(page.service)
        found = known.table.get(page) if known is not None else None
        return found is not None and found.only_client is None

    def rank(
        self, service: str, now: float, limit: int, horizon: float | None = None
    ) -> list[PageKey]:
        """Return the pages that users need in the next ``horizon`` seconds, the most needed first.

        A page's need is the expected number of requests: those of its rate, and those of clients
        whose present session leads to it. Left out are refused pages, and URLs with a query that
        only one client has sent.
        """
        known = self._services.get(service)
        if known is None or limit <= 0:
            return []
        horizon = self._limits.horizon if horizon is None else horizon
        factors = known.rates.factors(now, horizon)
        decay = known.sessions.decay
        soon = (1.0 - 2.0 ** (-horizon / decay.half_life)) / decay.weight(now)
        pages = [page for page in known.table.pages() if page.only_client is None]
        if known.refused_until:
            refused_until = known.refused_until
            pages = [page for page in pages if refused_until.get(page.key, -math.inf) <= now]
        needs = [soon * page.expected for page in pages]
        for expert, factor in enumerate(factors):
            needs = [
                need + factor * page.counts[expert] for need, page in zip(needs, pages, strict=True)
            ]
        first = sorted(range(len(pages)), key=needs.__getitem__, reverse=True)[:limit]
        return [pages[i].key for i in first]

    def forget(self, service: str) -> None:
        """Remove all pages of a service: it was deleted, or its content was replaced."""
        known = self._services.pop(service, None)
        if known is not None:
            self._total -= len(known.table)
