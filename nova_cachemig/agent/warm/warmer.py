"""The warmer: decides which pages are fetched, and when."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.ports import WarmCounts
from nova_cachemig.agent.warm.client import CacheClient
from nova_cachemig.agent.warm.fetcher import Fetcher, HeadersFor
from nova_cachemig.agent.warm.job import FetchJob
from nova_cachemig.agent.warm.rate import Budget, RateLimiter, UserLatency
from nova_cachemig.model import terminator
from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.policy import NO_POLICY, Policy
from nova_cachemig.model.service import Service
from nova_cachemig.model.terminator import Terminator
from nova_cachemig.popularity.askable import Rules
from nova_cachemig.popularity.hotset import HotSet, HotSetLimits

LOG = log.getLogger(__name__)

_KEEP_CONCURRENCY = 2
_KEPT_FETCHERS = 256
"""Services, at most, of which a warming that has ended is kept: its counts, its stored pages."""

_LINK_BATCH = 64  # linked pages that are queued before their sizes are known


def hotset_limits(conf: cfg.ConfigOpts) -> HotSetLimits:
    """Return the hot set's limits of the group ``[warm]``."""
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
class _WarmState:
    """The warming of one service."""

    user_latency: UserLatency = dataclasses.field(default_factory=UserLatency)
    fetcher: Fetcher | None = None  # of the last warming
    warm_job: FetchJob | None = None  # while ``warm`` fetches
    counted_job: FetchJob | None = None  # of the last ``warm``
    keep_job: FetchJob | None = None  # while ``keep_warm`` fetches
    lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    changed: dict[PageKey, None] = dataclasses.field(default_factory=dict)
    wake: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    users: int = 0  # calls of ``warm`` and ``keep_warm`` that have not ended


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
        """``stale_max``: seconds for which the engine uses a stale response at most."""
        self._conf, self._hotset, self._headers_for = conf.warm, hotset, headers_for
        self._stale_max = stale_max
        self._client = CacheClient(
            cache_socket, self._conf.total_concurrency, self._conf.max_object_size
        )
        self._budget = Budget(rate=self._conf.total_rate, concurrency=self._conf.total_concurrency)
        self._states: dict[str, _WarmState] = {}
        self._follow_links: dict[str, bool] = {}
        self._policies: dict[str, Policy] = {}
        self._hosts: dict[str, tuple[str, ...]] = {}

    def set_services(self, services: Iterable[Service]) -> None:
        """Set the active services, with their policies and settings."""
        services = tuple(services)
        self._hotset.set_rules({s.name: Rules(s.policy) for s in services})
        self._hosts = {s.name: tuple(host.lower() for host in s.hosts) for s in services}
        self._follow_links = {
            s.name: s.follow_links for s in services if s.follow_links is not None
        }
        self._policies = {s.name: s.policy for s in services}
        self._states = {
            name: state
            for name, state in self._states.items()
            if name in self._policies or state.users
        }

    @contextlib.contextmanager
    def _used(self, service: str) -> Iterator[_WarmState]:
        """Keep the state of the service meanwhile, and drop what the oldest warmings have left."""
        state = self._states.pop(service, None) or _WarmState()
        self._states[service] = state  # the newest is the last
        state.users += 1
        ended = [s for s in self._states.values() if s.fetcher is not None and not s.users]
        for old in ended[: max(len(ended) - _KEPT_FETCHERS, 0)]:
            old.fetcher, old.counted_job = None, None
            old.changed.clear()
        try:
            yield state
        finally:
            state.users -= 1

    def _state(self, service: str) -> _WarmState:
        state = self._states.get(service)
        if state is None:
            state = self._states[service] = _WarmState()
        return state

    def record_access(self, record: AccessRecord) -> None:
        """Learn from one access: the need of its page, and the guest's response time."""
        policy = self._policies.get(record.service, NO_POLICY)
        if record.has_cookie and policy.ignores_cookies(record.url):
            # The page that the warmer fetches is for this user too.
            record = dataclasses.replace(record, has_cookie=False)
        self._hotset.record(record, self._terminator(record))
        if record.method != "GET" or not 200 <= record.status < 400:
            return
        state = self._state(record.service)
        if state.warm_job is None:
            state.user_latency.add(record.seconds)
        else:
            state.warm_job.rate_limiter.record_user(record.seconds)

    def _terminator(self, record: AccessRecord) -> Terminator:
        if not record.forwarded:
            return terminator.NONE
        own = record.host.lower().partition(":")[0]
        return terminator.parse(record.forwarded, (own, *self._hosts.get(record.service, ())))

    def pages(self, service: str, limit: int) -> list[PageKey]:
        """Return the pages that would be fetched now, the most needed first."""
        return self._hotset.rank(service, time.time(), limit)

    def forget(self, service: str) -> None:
        """Remove all data of a service that was deleted."""
        self._hotset.forget(service)
        self._states.pop(service, None)

    def close(self) -> None:
        """Close the idle connections to the cache."""
        self._client.close()

    async def warm(self, service: str, *, deadline: float) -> WarmCounts:
        """Fetch all known pages through the cache, then embedded pages, then linked pages.

        Ends at ``deadline`` (loop time). A second call meanwhile waits for the end of the first,
        and then fetches the pages again.
        """
        with self._used(service) as state:
            return await self._warm(service, state, deadline)

    async def _warm(self, service: str, state: _WarmState, deadline: float) -> WarmCounts:
        job: FetchJob | None = None
        try:
            async with asyncio.timeout_at(deadline), state.lock:
                state.fetcher = self._fetcher(service)
                job = state.counted_job = self._job(state, state.fetcher)
                ranked = self.pages(service, self._conf.max_pages)
                job.add(ranked)
                state.fetcher.links.set_ranking(ranked)
                try:
                    state.warm_job = job
                    with self._budget.joined():
                        while await job.run(to_the_last_change=False) and (
                            linked := state.fetcher.links.issue(_LINK_BATCH)
                        ):
                            job.add(page for page in linked if page not in state.fetcher.stored)
                finally:
                    state.warm_job = None
                    state.changed.update(dict.fromkeys(job.take_changed()))
        except TimeoutError:
            LOG.info("the warming of %s reached its deadline", service)
        counts = job.counts if job is not None else WarmCounts()
        LOG.info("warmed %s: %s", service, counts)
        return counts

    def warm_counts(self, service: str) -> WarmCounts:
        """Return the counts of the last :meth:`warm`, also if it was cancelled."""
        state = self._states.get(service)
        job = state.counted_job if state is not None else None
        return job.counts if job is not None else WarmCounts()

    def verdict(self, service: str, host: str, url: str) -> str:
        """Return why users cannot get a page, as the last warming found out; else nothing."""
        state = self._states.get(service)
        if state is None or state.fetcher is None:
            return ""
        key = self._policies.get(service, NO_POLICY).key_url(url)
        return state.fetcher.verdict(PageKey(service, host.lower(), key))

    def _job(self, state: _WarmState, fetcher: Fetcher) -> FetchJob:
        state.changed.clear()
        conf = self._conf
        return FetchJob(
            fetcher,
            self._rate_limiter(conf.max_rate, conf.max_concurrency, state.user_latency.median()),
            discover=conf.discover_limit if conf.discover else 0,
        )

    def _fetcher(self, service: str) -> Fetcher:
        return Fetcher(
            self._conf,
            self._client,
            self._hotset,
            self._headers_for,
            stale_max=self._stale_max,
            follow_links=self._follow_links.get(service, self._conf.discover_links),
        )

    def _rate_limiter(
        self, rate: int, concurrency: int, user_baseline: float | None = None
    ) -> RateLimiter:
        return RateLimiter(
            max_rate=rate,
            min_rate=min(self._conf.min_rate, rate),
            max_concurrency=concurrency,
            slow_factor=self._conf.slow_factor,
            user_baseline=user_baseline,
            budget=self._budget,
        )

    def invalidated(self, service: str, url: str) -> None:
        """Fetch the pages of a URL again: the guest has responded to a write to it.

        A page fetched before the guest's response would be the old one.
        """
        state = self._states.get(service)
        if state is None or state.fetcher is None:
            return
        pages = state.fetcher.stored.invalidate(url, time.monotonic())
        running = state.warm_job or state.keep_job
        if running is not None:
            running.add_changed(pages)
        elif pages:
            state.changed.update(dict.fromkeys(pages))
            state.wake.set()

    async def keep_warm(self, service: str) -> None:
        """Fetch changed, expiring, newly popular and linked pages slowly, until cancelled."""
        with self._used(service) as state:
            await self._keep_warm(service, state)

    async def _keep_warm(self, service: str, state: _WarmState) -> None:
        if state.fetcher is None:
            state.fetcher = self._fetcher(service)
        rate_limiter = self._rate_limiter(self._conf.keep_rate, _KEEP_CONCURRENCY)
        loop = asyncio.get_running_loop()
        while True:
            state.wake.clear()
            async with state.lock:
                job = FetchJob(state.fetcher, rate_limiter, discover=0)
                changed, state.changed = list(state.changed), {}
                job.add_changed(changed)
                job.add(self._needed(service, state.fetcher, loop.time()))
                try:
                    state.keep_job = job
                    with self._budget.joined():
                        await job.run()
                finally:
                    state.keep_job = None
            try:
                async with asyncio.timeout(self._conf.keep_interval):
                    await state.wake.wait()
            except TimeoutError:
                continue

    def _needed(self, service: str, fetcher: Fetcher, now: float) -> list[PageKey]:
        # A number that the rate allows in one interval, so that the next pass begins on time.
        limit = max(1, int(self._conf.keep_rate * self._conf.keep_interval))
        pages = list(itertools.islice(fetcher.stored.pop_due(now), limit))
        ranked = self.pages(service, self._conf.max_pages)
        fetcher.links.set_ranking(ranked)
        new = (page for page in ranked if fetcher.needs(page, now))
        pages += itertools.islice(new, limit - len(pages))
        return [*pages, *fetcher.next_links(limit - len(pages), now)]
