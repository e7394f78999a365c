"""The warmer: what is fetched, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
from collections.abc import Iterable

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.ports import WarmCounts
from nova_cachemig.agent.warm.client import CacheClient
from nova_cachemig.agent.warm.fetcher import Fetcher, HeadersFor
from nova_cachemig.agent.warm.job import FetchJob
from nova_cachemig.agent.warm.rate import RateLimiter, Users
from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.service import Service
from nova_cachemig.popularity.hotset import HotSet, HotSetLimits

LOG = log.getLogger(__name__)

_KEEP_CONCURRENCY = 2
_AT_ONCE = 64  # pages found by links that are queued before it is seen how large they are


def hotset_limits(conf: cfg.ConfigOpts) -> HotSetLimits:
    """The hot set's bounds as ``[warm]`` has them."""
    group = conf.warm
    return HotSetLimits(
        pages_per_service=group.max_pages,
        pages=group.max_pages_total,
        services=group.max_services,
        clients=group.max_clients,
        half_lives=tuple(float(seconds) for seconds in group.half_lives),
        horizon=float(group.horizon),
        refused_for=float(group.refused_for),
    )


@dataclasses.dataclass(slots=True)
class _Site:
    """One service."""

    users: Users = dataclasses.field(default_factory=Users)
    fetcher: Fetcher | None = None  # of the last warming
    job: FetchJob | None = None  # a warming under way
    keeping: FetchJob | None = None  # fetches under way while memory is copied
    busy: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    urgent: dict[PageKey, None] = dataclasses.field(default_factory=dict)
    wake: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class CacheWarmer:
    """The :class:`~nova_cachemig.agent.ports.Warmer` of the agent."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        hotset: HotSet,
        cache_socket: str,
        headers_for: HeadersFor,
        *,
        stale_max: float = 300.0,
    ) -> None:
        """``stale_max``: seconds for which the engine uses a stale answer at most."""
        self._conf, self._hotset, self._headers_for = conf.warm, hotset, headers_for
        self._stale_max = stale_max
        self._client = CacheClient(
            cache_socket, self._conf.total_concurrency, self._conf.max_object
        )
        self._sites: dict[str, _Site] = {}
        self._follow: dict[str, bool] = {}

    def set_services(self, services: Iterable[Service]) -> None:
        """The services in force: some say themselves whether links are to be followed."""
        self._follow = {s.name: s.follow_links for s in services if s.follow_links is not None}

    def _site(self, service: str) -> _Site:
        site = self._sites.get(service)
        if site is None:
            site = self._sites[service] = _Site()
        return site

    def record_access(self, record: AccessRecord) -> None:
        """Learn from one access: which page is needed, and how quickly the guest answers."""
        self._hotset.record(record)
        if record.method != "GET" or not 200 <= record.status < 400:
            return
        site = self._site(record.service)
        if site.job is None:
            site.users.add(record.seconds)
        else:
            site.job.rate_limiter.user(record.seconds)

    def pages(self, service: str, limit: int) -> list[PageKey]:
        """The pages that would be fetched now, the most needed first."""
        return self._hotset.rank(service, time.time(), limit)

    def forget(self, service: str) -> None:
        """The service is no more."""
        self._hotset.forget(service)
        self._sites.pop(service, None)

    def close(self) -> None:
        """Close the kept connections to the cache."""
        self._client.close()

    async def warm(self, service: str, *, deadline: float) -> WarmCounts:
        """Fetch all known pages through the cache, what they embed, and what they link to.

        In this order, until ``deadline``.

        A second call while one is under way waits for its turn, and then does it again.
        """
        site = self._site(service)
        job: FetchJob | None = None
        try:
            async with asyncio.timeout_at(deadline), site.busy:
                site.fetcher = self._fetcher(service)
                job = self._job(site, site.fetcher)
                known = self.pages(service, self._conf.max_pages)
                job.add(known)
                site.fetcher.links.rank(known)
                try:
                    site.job = job
                    while await job.run() and (linked := site.fetcher.links.take(_AT_ONCE)):
                        job.add(page for page in linked if page not in site.fetcher.refresh)
                finally:
                    site.job = None
        except TimeoutError:
            LOG.info("warming %s: the deadline came first", service)
        counts = job.counts if job is not None else WarmCounts()
        LOG.info("warmed %s: %s", service, counts)
        return counts

    def _job(self, site: _Site, fetcher: Fetcher) -> FetchJob:
        site.urgent.clear()
        conf = self._conf
        return FetchJob(
            fetcher,
            self._rate_limiter(conf.max_rate, conf.max_concurrency, site.users.median()),
            discover=conf.discover_limit if conf.discover else 0,
        )

    def _fetcher(self, service: str) -> Fetcher:
        return Fetcher(
            self._conf,
            self._client,
            self._hotset,
            self._headers_for,
            stale_max=self._stale_max,
            follow_links=self._follow.get(service, self._conf.discover_links),
        )

    def _rate_limiter(
        self, rate: int, concurrency: int, users_before: float | None = None
    ) -> RateLimiter:
        return RateLimiter(
            max_rate=rate,
            min_rate=min(self._conf.min_rate, rate),
            max_concurrency=concurrency,
            slow_factor=self._conf.slow_factor,
            users_before=users_before,
        )

    def invalidated(self, service: str, url: str) -> None:
        """A write changed this URL, and the guest has answered it: fetch its pages again.

        Not before the guest's answer: a page fetched earlier would be the old one.
        """
        site = self._sites.get(service)
        if site is None or site.fetcher is None:
            return
        pages = site.fetcher.refresh.void(url, asyncio.get_running_loop().time())
        under_way = site.job or site.keeping
        if under_way is not None:
            under_way.add_changed(pages)
        elif pages:
            site.urgent.update(dict.fromkeys(pages))
            site.wake.set()

    async def keep_warm(self, service: str) -> None:
        """Go on, slowly, until cancelled: changed pages, ending, new, linked ones."""
        site = self._site(service)
        if site.fetcher is None:
            site.fetcher = self._fetcher(service)
        rate_limiter = self._rate_limiter(self._conf.keep_rate, _KEEP_CONCURRENCY)
        loop = asyncio.get_running_loop()
        while True:
            site.wake.clear()
            async with site.busy:
                job = FetchJob(site.fetcher, rate_limiter, discover=0)
                urgent, site.urgent = list(site.urgent), {}
                job.add_changed(urgent)
                job.add(self._needed(service, site, loop.time()))
                try:
                    site.keeping = job
                    await job.run()
                finally:
                    site.keeping = None
            try:
                async with asyncio.timeout(self._conf.keep_interval):
                    await site.wake.wait()
            except TimeoutError:
                continue

    def _needed(self, service: str, site: _Site, now: float) -> list[PageKey]:
        assert site.fetcher is not None
        fetcher = site.fetcher
        # So few at a time that the next look comes about when the interval is over.
        most = max(1, int(self._conf.keep_rate * self._conf.keep_interval))
        pages = list(itertools.islice(fetcher.refresh.due(now), most))
        ranked = self.pages(service, self._conf.max_pages)
        fetcher.links.rank(ranked)
        new = (page for page in ranked if fetcher.wants(page, now))
        pages += itertools.islice(new, most - len(pages))
        return [*pages, *fetcher.linked(most - len(pages), now)]
