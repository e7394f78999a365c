"""Fetches one page and remembers what came of it."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nova_cachemig.agent.warm import discover
from nova_cachemig.agent.warm.client import CacheClient
from nova_cachemig.agent.warm.links import Links
from nova_cachemig.agent.warm.refresh import RefreshQueue
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError, Verdict
from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.hotset import HotSet

HeadersFor = Callable[[str, str], Mapping[str, str]]
"""(service, host) -> the headers by which the engine knows a request of the warmer."""

_LATER = frozenset({408, 425, 429})  # 4xx that say "not now" rather than "not so"
_AGAIN_AFTER = 15.0  # seconds after which a page that failed is worth another try
_QUICK = 8 * 1024  # bytes of a body, perhaps compressed, that are searched within a few ms
_DEFAULTS = {"Accept-Encoding": "gzip", "User-Agent": "nova-cachemig-warmer"}


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What one fetch brought; ``found``: pages that it embeds and nobody had asked for yet."""

    verdict: Verdict
    status: int
    first_byte: float  # seconds
    found: tuple[PageKey, ...] = ()


class Fetcher:
    """One service in one handover. ``refresh``: what is stored; ``links``: what may be fetched."""

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
        """``conf``: the [warm] group; ``stale_max``: seconds of grace the engine gives at most."""
        self._conf, self._client, self._hotset = conf, client, hotset
        self._headers_for, self._stale_max = headers_for, stale_max
        self.refresh = RefreshQueue()
        self.links = Links(conf.discover_links_limit, conf.discover_links_size)
        self._never = re.compile(conf.discover_links_never) if follow_links else None
        self._again: dict[PageKey, float] = {}  # page that failed -> when to try again, loop time

    async def fetch(self, page: PageKey) -> Outcome:
        """Fetch, whether it is stored or not. Raises FetchError."""
        headers = {"Host": page.host, **_DEFAULTS, **self._headers_for(page.service, page.host)}
        if page in self.refresh:
            headers["Cache-Control"] = "no-cache"  # a hit would not make it last longer
        began = asyncio.get_running_loop().time()
        try:
            answer = await self._client.get(
                page.url, headers, timeout=self._conf.fetch_timeout, keep=self._wanted
            )
        except FetchError as exc:
            self.refresh.take(page)
            if exc.hopeless:
                self._hotset.refuse(page, time.time())
            elif not exc.unreachable:  # the page itself
                self._failed(page, began)
            raise
        if answer.turned_away:
            raise FetchError("the engine takes no warming of this service now", unreachable=True)
        self._remember(page, answer, began)
        found = await self._found(page, answer)
        return Outcome(answer.verdict, answer.status, answer.first_byte, found)

    def _wanted(self, headers: Mapping[str, str]) -> int:
        if not self._conf.discover and self._never is None:
            return 0
        return discover.wanted(headers, self._conf.discover_bytes)

    def _remember(self, page: PageKey, answer: FetchedResponse, began: float) -> None:
        verdict = answer.verdict
        if verdict in {Verdict.STORED, Verdict.HIT}:
            usable = answer.usable_for(self._stale_max)
            self.refresh.put(page, began, usable, self._conf.refresh_before)
            self.links.stored(page, answer.size)
            return
        self.refresh.take(page)
        if verdict is Verdict.UNCACHEABLE or (
            400 <= answer.status < 500 and answer.status not in _LATER
        ):
            self._hotset.refuse(page, time.time())
        else:
            self._failed(page, began)

    def _failed(self, page: PageKey, now: float) -> None:
        self._again[page] = now + _AGAIN_AFTER

    def wants(self, page: PageKey, now: float) -> bool:
        """Whether the page is not stored, and has not just failed."""
        if page in self.refresh:
            return False
        if self._again.get(page, now) > now:
            return False
        self._again.pop(page, None)
        return True

    def linked(self, most: int, now: float) -> list[PageKey]:
        """Pages found by links that are wanted, the most needed first; ``now``: loop time."""
        again = (p for p in self.links.given() if self.wants(p, now) and not self._refused(p))
        pages = list(itertools.islice(again, most))
        new = self.links.take(most - len(pages))
        return pages + [page for page in new if self.wants(page, now)]

    def _refused(self, page: PageKey) -> bool:
        return self._hotset.is_refused(page, time.time())

    async def _found(self, page: PageKey, answer: FetchedResponse) -> tuple[PageKey, ...]:
        """What the page embeds; to ``links`` what it links to, if users asked for the page."""
        if not answer.body or answer.verdict is Verdict.FAILED:
            return ()
        search = functools.partial(
            discover.found,
            page.url,
            page.host,
            answer.headers,
            answer.body,
            limit=self._conf.discover_bytes,
            never=self._never if self._hotset.knows(page) else None,
            queries=self._conf.discover_queries,
        )
        # Some pages take 20 ms, and this loop tells the edge what state it is in.
        quick = len(answer.body) <= _QUICK
        embedded, links = search() if quick else await asyncio.to_thread(search)
        self.links.add(page, self._unknown(page, links))
        return self._unknown(page, embedded)

    def _unknown(self, page: PageKey, urls: Iterable[str]) -> tuple[PageKey, ...]:
        pages = (PageKey(page.service, page.host, url) for url in urls)
        return tuple(
            p
            for p in pages
            if p not in self.refresh and not self._hotset.knows(p) and not self._refused(p)
        )
