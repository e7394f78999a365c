"""Fetches one page and records the result."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import math
import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from oslo_log import log

from nova_cachemig.agent.warm import discover, robots, strangers
from nova_cachemig.agent.warm.client import BodyLimit, CacheClient
from nova_cachemig.agent.warm.links import LinkQueue
from nova_cachemig.agent.warm.proof import Dimension, Verdict
from nova_cachemig.agent.warm.prover import Pace, Prover, Record
from nova_cachemig.agent.warm.refresh import RefreshQueue
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError, Outcome
from nova_cachemig.model.access import PageKey
from nova_cachemig.model.reads import Reason
from nova_cachemig.popularity import askable
from nova_cachemig.popularity.hotset import HotSet

LOG = log.getLogger(__name__)

HeadersFor = Callable[[str, str], Mapping[str, str]]
"""(service, host) -> the headers by which the engine recognizes a request of the warmer."""

_RETRYABLE = frozenset({408, 425, 429})  # 4xx responses that a later request may not get
_RETRY_AFTER = 15.0  # seconds before a failed page is fetched again
_INLINE_SEARCH = 8 * 1024  # bytes of a body, perhaps compressed, whose search takes a few ms
_ROBOTS_BYTES = 128 * 1024  # of a robots.txt that are read
_MAX_HOSTS = 100  # of one service, whose robots.txt are kept
_MAX_VERDICTS = 20_000  # pages of which the fetcher remembers why users cannot get them
_MAX_FOLLOWED = 10_000
_REASONS = {
    Verdict.DEPENDENT: Reason.DEPENDENT,
    Verdict.CHANGING: Reason.CHANGING,
    Verdict.FORBIDDEN: Reason.FORBIDDEN,
}
_ROBOT = {"User-Agent": robots.AGENT}


@dataclasses.dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of one fetch; ``embedded`` are its embedded pages that are new.

    ``verdict``: why users can use the stored page or not; None: no proof was needed or begun.
    ``outdated``: a write has changed the page since it was requested; fetch it again.
    """

    outcome: Outcome
    status: int
    first_byte: float  # seconds
    embedded: tuple[PageKey, ...] = ()
    verdict: Verdict | None = None
    outdated: bool = False


class Fetcher:
    """Fetches the pages of one service in one handover.

    ``stored`` is the queue of stored pages, ``links`` the queue of linked ones.
    """

    def __init__(
        self,
        conf: Any,
        client: CacheClient,
        hotset: HotSet,
        headers_for: HeadersFor,
        *,
        stale_max: float,
        follow_links: bool,
    ) -> None:
        """``conf``: the [warm] group; ``stale_max``: the engine's limit of stale use, in s."""
        self._conf, self._client, self._hotset = conf, client, hotset
        self._headers_for, self._stale_max = headers_for, stale_max
        self.stored = RefreshQueue()
        self.links = LinkQueue(conf.discover_links_limit, conf.discover_links_size)
        self._excluded = re.compile(conf.discover_links_never) if follow_links else None
        self._retry_at: dict[PageKey, float] = {}  # failed page -> loop time of the next attempt
        self._robots: dict[str, tuple[robots.Robots, float]] = {}  # host -> rules, end of their use
        self._robots_lock = asyncio.Lock()
        self._rng = random.SystemRandom()
        self._verdicts: dict[PageKey, Reason] = {}
        self._followed: set[PageKey] = set()  # targets of redirects

    async def fetch(self, page: PageKey, pace: Pace, record: Record) -> FetchResult:
        """Fetch a page, whether it is stored or not, and prove it. Raises FetchError.

        ``pace`` and ``record``: before and after each further request to the guest.
        """
        prover = self._prover(page)
        headers = prover.first_headers() if prover is not None else self._unproved_headers(page)
        if page in self.stored:
            headers["Cache-Control"] = "no-cache"  # a hit would not extend its lifetime
        began = time.monotonic()  # the loop's clock has too few digits to order this and a write
        try:
            response = await self._get(page, headers, self._body_limit)
            if response.refused:
                raise FetchError("the engine refuses to warm this service now", unreachable=True)
            verdict = None
            if prover is not None and response.outcome is Outcome.STORED:
                send = functools.partial(self._get, page)
                verdict = await prover.prove(response, send, pace, record)
        except FetchError as exc:
            self.stored.remove(page)
            if exc.permanent:
                self._hotset.refuse(page, time.time())
            elif not exc.unreachable:  # the page failed, not the cache
                self._defer(page, began)
            raise
        outdated = self.stored.is_outdated(page, began)
        if not outdated:
            self._record(page, response, verdict, began)
        embedded = await self._discover(page, response)
        return FetchResult(
            response.outcome, response.status, response.first_byte, embedded, verdict, outdated
        )

    def _prover(self, page: PageKey) -> Prover | None:
        """Return the prover of a page; None if the owner says that all users get the same."""
        policy = self._hotset.rules(page.service).policy
        if policy.ignores_cookies(page.url):
            return None
        cookies = policy.cookies_of_scripts(page.url)
        return Prover(self._strangers(page, cookies), self._rng)

    def _strangers(self, page: PageKey, cookies: Sequence[str]) -> strangers.Strangers:
        habits, kind = self._hotset.habits(page.service), self._hotset.kind(page)
        scheme = self._hotset.terminator(page).proto or "http"
        site = f"{scheme}://{page.host}/"
        return strangers.strangers(habits, kind, site, cookies, self._rng)

    def _unproved_headers(self, page: PageKey) -> dict[str, str]:
        first = self._strangers(page, ())[0]
        return dict(
            strangers.headers({d: v for d, v in first.items() if d is not Dimension.ADDRESS})
        )

    async def _get(
        self,
        page: PageKey,
        headers: Mapping[str, str],
        body_limit: BodyLimit = lambda headers: 0,
    ) -> FetchedResponse:
        return await self._client.get(
            page.url,
            {
                "Host": page.host,
                "Accept-Encoding": "gzip",
                **self._hotset.terminator(page).headers(),
                **self._headers_for(page.service, page.host),
                **headers,
            },
            timeout=self._conf.fetch_timeout,
            body_limit=body_limit,
        )

    def _body_limit(self, headers: Mapping[str, str]) -> int:
        if not self._conf.discover and self._excluded is None:
            return 0
        return discover.body_limit(headers, self._conf.discover_bytes)

    def _record(
        self, page: PageKey, response: FetchedResponse, verdict: Verdict | None, began: float
    ) -> None:
        outcome = response.outcome
        self._note(page, _REASONS.get(verdict) if verdict else None, outcome)
        if verdict not in {None, Verdict.PROVED}:
            self.stored.remove(page)
            self._hotset.refuse(page, time.time())
            if verdict is Verdict.CHANGING:
                self.stored.watch(page)
            return
        if outcome in {Outcome.STORED, Outcome.HIT}:
            lifetime = response.lifetime(self._stale_max)
            self.stored.add(page, began, lifetime, self._conf.refresh_before)
            self.links.record_size(page, response.size)
            return
        self.stored.remove(page)
        if response.redirects_to(page.host, page.url):  # perhaps not with other headers
            self._defer(page, began)
        elif outcome is Outcome.UNCACHEABLE or (
            400 <= response.status < 500 and response.status not in _RETRYABLE
        ):
            self._hotset.refuse(page, time.time())
        else:
            self._defer(page, began)

    def _note(self, page: PageKey, why: Reason | None, outcome: Outcome) -> None:
        self._verdicts.pop(page, None)
        if why is None and outcome is Outcome.UNCACHEABLE:
            why = Reason.FORBIDDEN
        if why is not None:
            self._verdicts[page] = why
            if len(self._verdicts) > _MAX_VERDICTS:
                del self._verdicts[next(iter(self._verdicts))]

    def verdict(self, page: PageKey) -> str:
        """Return why users cannot get a page; empty: they can, or it was not fetched."""
        return self._verdicts.get(page, "")

    def _defer(self, page: PageKey, now: float) -> None:
        self._retry_at[page] = now + _RETRY_AFTER

    def needs(self, page: PageKey, now: float) -> bool:
        """Return whether the page is not stored and has not failed recently."""
        if page in self.stored:
            return False
        if self._retry_at.get(page, now) > now:
            return False
        self._retry_at.pop(page, None)
        return True

    def next_links(self, limit: int, now: float) -> list[PageKey]:
        """Return linked pages that are needed, the most needed first; ``now``: loop time."""
        again = (p for p in self.links.issued() if self.needs(p, now) and not self._refused(p))
        pages = list(itertools.islice(again, limit))
        new = self.links.issue(limit - len(pages))
        return pages + [page for page in new if self.needs(page, now)]

    def _refused(self, page: PageKey) -> bool:
        return self._hotset.is_refused(page, time.time())

    async def _discover(self, page: PageKey, response: FetchedResponse) -> tuple[PageKey, ...]:
        """Return the new embedded pages; queue the linked pages, if users requested the page."""
        if response.outcome is Outcome.FAILED:
            return ()
        if (target := response.target(page.host, page.url)) is not None:
            return self._redirected(page, target)
        if not response.body:
            return ()
        search = functools.partial(
            discover.find_references,
            page.url,
            page.host,
            response.headers,
            response.body,
            limit=self._conf.discover_bytes,
            excluded=self._excluded if self._hotset.knows(page) else None,
            queries=self._conf.discover_queries,
            rules=self._hotset.rules(page.service),
        )
        # Some pages take 20 ms, too long for the loop that changes the edge's states.
        inline = len(response.body) <= _INLINE_SEARCH
        embedded, links = search() if inline else await asyncio.to_thread(search)
        if links:
            site = await self._robots_of(page)
            links = [url for url in links if site.allows(url)]
        self.links.add(page, self._new_pages(page, links))
        return self._new_pages(page, embedded)

    def _redirected(self, page: PageKey, target: str) -> tuple[PageKey, ...]:
        """Return the target of a redirect once, if it may be fetched: redirects can be a circle."""
        rules = self._hotset.rules(page.service)
        found = dataclasses.replace(page, url=rules.policy.key_url(target))
        known = found == page or found in self._followed or len(self._followed) >= _MAX_FOLLOWED
        verdict = askable.judge(found.url, askable.Origin.LINKED, rules=rules)
        if known or not self._conf.discover or verdict is not askable.Verdict.ASK:
            return ()
        self._followed.add(found)
        return self._new_pages(page, (found.url,))

    async def _robots_of(self, page: PageKey) -> robots.Robots:
        """Return the rules of the page's host; none is allowed while they are unknown."""
        loop = asyncio.get_running_loop()
        async with self._robots_lock:
            rules, until = self._robots.get(page.host, (robots.NONE_ALLOWED, -math.inf))
            if until > loop.time():
                return rules
            found = await self._fetch_robots(page)
            if len(self._robots) >= _MAX_HOSTS:
                self._robots.clear()
            until = math.inf if found is not None else loop.time() + _RETRY_AFTER
            rules = found if found is not None else robots.NONE_ALLOWED
            self._robots[page.host] = rules, until
            return rules

    async def _fetch_robots(self, page: PageKey) -> robots.Robots | None:
        """Return the rules in a robots.txt; None if the guest has not responded properly."""
        try:
            response = await self._get(
                dataclasses.replace(page, url=robots.URL), _ROBOT, lambda headers: _ROBOTS_BYTES
            )
        except FetchError as exc:
            LOG.debug("the robots.txt of %s is unknown: %s", page.host, exc)
            return None
        if response.refused or not (200 <= response.status < 300 or 400 <= response.status < 500):
            return None
        if response.status >= 400:  # without rules, all is allowed (RFC 9309, section 2.3.1.3)
            return robots.ALL_ALLOWED
        return robots.parse(discover.decoded(response.headers, response.body, _ROBOTS_BYTES))

    def _new_pages(self, page: PageKey, urls: Iterable[str]) -> tuple[PageKey, ...]:
        pages = (PageKey(page.service, page.host, url) for url in urls)
        return tuple(
            p
            for p in pages
            if p not in self.stored and not self._hotset.knows(p) and not self._refused(p)
        )
