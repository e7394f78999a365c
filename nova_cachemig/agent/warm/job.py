"""Fetches a queue of pages of one service at the pace that its guest allows."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterable

from oslo_log import log

from nova_cachemig.agent.ports import WarmCounts
from nova_cachemig.agent.warm.fetcher import Fetcher
from nova_cachemig.agent.warm.rate import RateLimiter
from nova_cachemig.agent.warm.response import FetchError, Verdict
from nova_cachemig.model.access import PageKey

LOG = log.getLogger(__name__)

_UNREACHABLE = 10  # fetches in a row that find no cache at all, after which the job ends


class FetchJob:
    """One warming, or one look-after during memory copy: a queue, a pace and counts."""

    def __init__(self, fetcher: Fetcher, rate_limiter: RateLimiter, *, discover: int) -> None:
        """``discover``: how many pages beyond the queue may be found and fetched."""
        self._fetcher, self.rate_limiter = fetcher, rate_limiter
        self._changed: dict[PageKey, None] = {}  # by a write, in order
        self._woken = asyncio.Event()  # one of them has come
        self._known: collections.deque[PageKey] = collections.deque()
        self._found: collections.deque[PageKey] = collections.deque()
        self._queued: set[PageKey] = set()
        self._discover = discover
        self._tasks: set[asyncio.Task[None]] = set()
        self._unreachable, self._reason = 0, ""
        self._wanted = self._fetched = self._failed = self._uncacheable = 0

    @property
    def counts(self) -> WarmCounts:
        """So far; pages still in the queue are wanted and nothing else."""
        return WarmCounts(self._wanted, self._fetched, self._failed, self._uncacheable)

    def add(self, pages: Iterable[PageKey]) -> None:
        """Queue pages, the most needed first; what is queued already stays where it is."""
        for page in pages:
            if page not in self._queued:
                self._queued.add(page)
                self._known.append(page)
                self._wanted += 1

    def add_changed(self, pages: Iterable[PageKey]) -> None:
        """Queue pages that a write has changed before all others, whatever the rate.

        The guest has just answered that write, and its users would ask for the page next: there are
        no more of them than it takes writes, and what is not fetched before the pause must wait.
        """
        for page in pages:
            if page in self._queued and page in self._known:
                self._known.remove(page)
            elif page not in self._changed:
                self._wanted += 1
            self._queued.add(page)
            self._changed[page] = None
            self._woken.set()

    async def run(self) -> bool:
        """Until nothing is left; False: the cache cannot be reached. May be called again.

        Cancelled at will: open requests are cut.
        """
        loop = asyncio.get_running_loop()
        try:
            while (self._queued_pages or self._tasks) and not self._hopeless():
                self._woken.clear()
                await self._rest(self._begin_some(loop.time()))
        finally:
            await self._cut()
        return self._unreachable < _UNREACHABLE

    @property
    def _queued_pages(self) -> bool:
        return bool(self._changed or self._known or self._found)

    def _begin_some(self, now: float) -> float | None:
        """Begin what may be fetched now; seconds until more may be, None: when one has ended."""
        while self._queued_pages and len(self._tasks) < self.rate_limiter.concurrency:
            if self._changed:
                page = next(iter(self._changed))
                del self._changed[page]
            elif (delay := self.rate_limiter.wait(now)) > 0:
                return delay
            else:
                page = (self._known or self._found).popleft()
                self.rate_limiter.sent(now)
            self._begin(page)
        return None

    async def _rest(self, delay: float | None) -> None:
        """Until a fetch ends or the next may begin."""
        woken = asyncio.create_task(self._woken.wait())
        try:
            done, _ = await asyncio.wait(
                {*self._tasks, woken}, timeout=delay, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            woken.cancel()
        for task in done & self._tasks:
            self._tasks.discard(task)
            task.result()

    async def _cut(self) -> None:
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hopeless(self) -> bool:
        if self._unreachable < _UNREACHABLE:
            return False
        LOG.warning("warming ends early: %s", self._reason)
        self._failed += len(self._changed) + len(self._known) + len(self._found)
        self._changed.clear()
        self._known.clear()
        self._found.clear()
        return True

    def _begin(self, page: PageKey) -> None:
        self._tasks.add(asyncio.create_task(self._fetch(page)))

    async def _fetch(self, page: PageKey) -> None:
        try:
            outcome = await self._fetcher.fetch(page)
        except FetchError as exc:
            LOG.debug("warming %s%s: %s", page.host, page.url, exc)
            self._failed += 1
            self._unreachable = self._unreachable + 1 if exc.unreachable else 0
            self._reason = str(exc)
            if not exc.hopeless:
                self.rate_limiter.failed()
            return
        except Exception:
            LOG.exception("warming %s%s", page.host, page.url)
            self._failed += 1
            return
        finally:
            self._queued.discard(page)
        self._unreachable = 0
        self._tell(outcome.verdict, outcome.status, outcome.first_byte)
        room = self._discover
        for found in outcome.found[:room]:
            if found not in self._queued:
                self._queued.add(found)
                self._found.append(found)
                self._discover -= 1
                self._wanted += 1

    def _tell(self, verdict: Verdict, status: int, first_byte: float) -> None:
        if verdict is Verdict.FAILED:
            self._failed += 1
        elif verdict is Verdict.UNCACHEABLE:
            self._uncacheable += 1
        else:
            self._fetched += 1
        if status >= 500:
            self.rate_limiter.failed()
        elif verdict is not Verdict.HIT:
            self.rate_limiter.answered(first_byte)
