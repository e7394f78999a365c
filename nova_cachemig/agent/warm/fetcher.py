"""Fetches one page and records the result."""

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
from nova_cachemig.agent.warm.links import LinkQueue
from nova_cachemig.agent.warm.refresh import RefreshQueue
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError, Outcome
from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.hotset import HotSet

HeadersFor = Callable[[str, str], Mapping[str, str]]
"""(service, host) -> the headers by which the engine recognizes a request of the warmer."""

_RETRYABLE = frozenset({408, 425, 429})  # 4xx responses that a later request may not get
_RETRY_AFTER = 15.0  # seconds before a failed page is fetched again
_INLINE_SEARCH = 8 * 1024  # bytes of a body, perhaps compressed, whose search takes a few ms
_HEADERS = {"Accept-Encoding": "gzip", "User-Agent": "nova-cachemig-warmer"}


@dataclasses.dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of one fetch; ``embedded`` are its embedded pages that are new."""

    outcome: Outcome
    status: int
    first_byte: float  # seconds
    embedded: tuple[PageKey, ...] = ()


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

    async def fetch(self, page: PageKey) -> FetchResult:
        """Fetch a page, whether it is stored or not. Raises FetchError."""
        headers = {"Host": page.host, **_HEADERS, **self._headers_for(page.service, page.host)}
        if page in self.stored:
            headers["Cache-Control"] = "no-cache"  # a hit would not extend its lifetime
        began = asyncio.get_running_loop().time()
        try:
            response = await self._client.get(
                page.url, headers, timeout=self._conf.fetch_timeout, body_limit=self._body_limit
            )
        except FetchError as exc:
            self.stored.remove(page)
            if exc.permanent:
                self._hotset.refuse(page, time.time())
            elif not exc.unreachable:  # the page failed, not the cache
                self._defer(page, began)
            raise
        if response.refused:
            raise FetchError("the engine refuses to warm this service now", unreachable=True)
        self._record(page, response, began)
        embedded = await self._discover(page, response)
        return FetchResult(response.outcome, response.status, response.first_byte, embedded)

    def _body_limit(self, headers: Mapping[str, str]) -> int:
        if not self._conf.discover and self._excluded is None:
            return 0
        return discover.body_limit(headers, self._conf.discover_bytes)

    def _record(self, page: PageKey, response: FetchedResponse, began: float) -> None:
        outcome = response.outcome
        if outcome in {Outcome.STORED, Outcome.HIT}:
            lifetime = response.lifetime(self._stale_max)
            self.stored.add(page, began, lifetime, self._conf.refresh_before)
            self.links.record_size(page, response.size)
            return
        self.stored.remove(page)
        if outcome is Outcome.UNCACHEABLE or (
            400 <= response.status < 500 and response.status not in _RETRYABLE
        ):
            self._hotset.refuse(page, time.time())
        else:
            self._defer(page, began)

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
        if not response.body or response.outcome is Outcome.FAILED:
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
        )
        # Some pages take 20 ms, too long for the loop that changes the edge's states.
        inline = len(response.body) <= _INLINE_SEARCH
        embedded, links = search() if inline else await asyncio.to_thread(search)
        self.links.add(page, self._new_pages(page, links))
        return self._new_pages(page, embedded)

    def _new_pages(self, page: PageKey, urls: Iterable[str]) -> tuple[PageKey, ...]:
        pages = (PageKey(page.service, page.host, url) for url in urls)
        return tuple(
            p
            for p in pages
            if p not in self.stored and not self._hotset.knows(p) and not self._refused(p)
        )
