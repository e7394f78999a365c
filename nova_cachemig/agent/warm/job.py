"""Fetches a queue of pages of one service at the rate that its guest allows."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import itertools
from collections.abc import Iterable

from oslo_log import log

from nova_cachemig.agent.ports import WarmCounts
from nova_cachemig.agent.warm.fetcher import Fetcher, FetchResult
from nova_cachemig.agent.warm.proof import Verdict
from nova_cachemig.agent.warm.rate import RateLimiter
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError, Outcome
from nova_cachemig.model.access import PageKey
from nova_cachemig.model.secret import redact

LOG = log.getLogger(__name__)

_COUNTERS = {
    Verdict.PROVED: ("fetched", "proved"),
    Verdict.DEPENDENT: ("dependent",),
    Verdict.CHANGING: ("changing",),
    Verdict.FORBIDDEN: ("uncacheable",),
}
_MAX_UNREACHABLE = 10  # consecutive fetches that cannot reach the cache, after which the job ends


class FetchJob:
    """One warming, or one pass of ``keep_warm``: queues, a rate limiter and counters."""

    def __init__(self, fetcher: Fetcher, rate_limiter: RateLimiter, *, discover: int) -> None:
        """``discover``: number of embedded pages that may be added to the queue."""
        self._fetcher, self.rate_limiter = fetcher, rate_limiter
        self._changed: dict[PageKey, None] = {}  # by a write, in order
        self._wake = asyncio.Event()  # set when a page was added to them
        self._ranked: collections.deque[PageKey] = collections.deque()
        self._embedded: collections.deque[PageKey] = collections.deque()
        self._queued: set[PageKey] = set()
        self._fetching: dict[PageKey, bool] = {}  # page -> whether a write has changed it
        self._again: set[PageKey] = set()  # of those, changed meanwhile
        self._last_changed = False  # whether the page that was started last was a changed one
        self._discover = discover
        self._tasks: set[asyncio.Task[None]] = set()
        self._pausing = 0  # tasks that wait for the rate
        self._unreachable, self._last_error = 0, ""
        self.counts = WarmCounts()
        """The counters so far; a queued page counts only as wanted."""

    def _add_to(self, *names: str, number: int = 1) -> None:
        counts = {name: getattr(self.counts, name) + number for name in names}
        self.counts = dataclasses.replace(self.counts, **counts)

    def add(self, pages: Iterable[PageKey]) -> None:
        """Queue pages, the most needed first; pages in the queue keep their place."""
        for page in pages:
            if page not in self._queued:
                self._queued.add(page)
                self._ranked.append(page)
                self._add_to("wanted")

    def add_changed(self, pages: Iterable[PageKey]) -> None:
        """Queue pages that a write has changed; the rate does not apply.

        The guest has just responded to the write, and its users would request the page next. So the
        warmer adds no more load than writes do. A page that is not fetched before the pause would
        have to be held.
        """
        for page in pages:
            if page in self._fetching:  # one fetch of a page at a time: the last proof counts
                self._again.add(page)
                continue
            if page in self._queued and page in self._ranked:
                self._ranked.remove(page)
            elif page not in self._changed:
                self._add_to("wanted")
            self._queued.add(page)
            self._changed[page] = None
            self._wake.set()

    async def run(self, *, to_the_last_change: bool = True) -> bool:
        """Fetch until the queue is empty; return False if the cache cannot be reached.

        Steady writes can change pages as fast as they are fetched, so without
        ``to_the_last_change``, the run ends when only changed pages are left: :meth:`take_changed`.
        May be called again. A cancellation cancels the open requests.
        """
        loop = asyncio.get_running_loop()
        try:
            while not self._give_up():
                if self._is_finished(to_the_last_change):
                    await self._finish_fetches()
                    if self._is_finished(to_the_last_change):
                        break
                self._wake.clear()
                await self._wait(self._start_fetches(loop.time()))
        finally:
            await self._cancel_fetches()
        return self._unreachable < _MAX_UNREACHABLE

    def take_changed(self) -> list[PageKey]:
        """Remove and return the changed pages that are still queued."""
        pages, self._changed = list(self._changed), {}
        self._queued.difference_update(pages)
        self._add_to("wanted", number=-len(pages))
        return pages

    def _is_finished(self, to_the_last_change: bool) -> bool:
        if self._ranked or self._embedded:
            return False
        if to_the_last_change:
            return not (self._changed or self._tasks)
        return all(self._fetching.values())

    def _start_fetches(self, now: float) -> float | None:
        """Start the fetches that are allowed now.

        Return the seconds until the next is allowed; None: when a running one has ended.
        """
        while self._changed or self._ranked or self._embedded:
            changed = self._is_turn_of_changed(now)
            # A changed page does not wait for a proof that waits for the rate.
            open_now = len(self._tasks) - (self._pausing if changed else 0)
            if open_now >= self.rate_limiter.concurrency:
                return None
            if changed:
                page = next(iter(self._changed))
                del self._changed[page]
            elif (delay := self.rate_limiter.delay(now)) > 0:
                return delay
            else:
                page = (self._ranked or self._embedded).popleft()
                self.rate_limiter.record_sent(now)
            self._last_changed = changed
            self._fetching[page] = changed
            self._tasks.add(asyncio.create_task(self._fetch(page, changed)))
        return None

    def _is_turn_of_changed(self, now: float) -> bool:
        """Whether the next page is a changed one: every second one, while others can start."""
        if not self._changed or not self._last_changed:
            return bool(self._changed)
        limiter = self.rate_limiter
        others = self._ranked or self._embedded
        return not others or len(self._tasks) >= limiter.concurrency or limiter.delay(now) > 0

    async def _wait(self, delay: float | None) -> None:
        """Wait until a fetch ends, a changed page arrives, or ``delay`` seconds pass."""
        woken = asyncio.create_task(self._wake.wait())
        try:
            done, _ = await asyncio.wait(
                {*self._tasks, woken}, timeout=delay, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            woken.cancel()
        for task in done & self._tasks:
            self._tasks.discard(task)
            task.result()

    async def _finish_fetches(self) -> None:
        while self._tasks:
            await self._wait(None)

    async def _cancel_fetches(self) -> None:
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fetching.clear()  # a task may not have started

    def _give_up(self) -> bool:
        """Empty the queue if the cache cannot be reached; return whether it was emptied."""
        if self._unreachable < _MAX_UNREACHABLE:
            return False
        LOG.warning("the warming ends early: %s", self._last_error)
        left = len(self._changed) + len(self._ranked) + len(self._embedded)
        self._add_to("failed", number=left)
        self._changed.clear()
        self._ranked.clear()
        self._embedded.clear()
        return True

    async def _fetch(self, page: PageKey, changed: bool) -> None:
        pace = self._pace_changed if changed else self._pace
        result: FetchResult | None = None
        try:
            result = await self._fetcher.fetch(page, pace, self._record_proof)
        except FetchError as exc:
            self._failed(page, exc)
        except Exception:
            LOG.exception("fetching %s%s failed", page.host, redact(page.url))
            self._add_to("failed")
        finally:
            self._queued.discard(page)
            self._fetching.pop(page, None)
        if result is not None:
            self._unreachable = 0
            self._count(result)
            self._add_embedded(result.embedded)
        if page in self._again or (result is not None and result.outdated):
            self._again.discard(page)
            self.add_changed([page])

    def _failed(self, page: PageKey, exc: FetchError) -> None:
        LOG.debug("fetching %s%s failed: %s", page.host, redact(page.url), exc)
        self._add_to("failed")
        self._unreachable = self._unreachable + 1 if exc.unreachable else 0
        self._last_error = str(exc)
        if not exc.permanent:
            self.rate_limiter.record_failure()

    def _add_embedded(self, pages: Iterable[PageKey]) -> None:
        for page in itertools.islice(pages, self._discover):
            if page not in self._queued:
                self._queued.add(page)
                self._embedded.append(page)
                self._discover -= 1
                self._add_to("wanted")

    async def _pace(self) -> None:
        delay = self.rate_limiter.reserve(asyncio.get_running_loop().time())
        if delay > 0:
            self._pausing += 1
            try:
                await asyncio.sleep(delay)
            finally:
                self._pausing -= 1

    async def _pace_changed(self) -> None:
        self.rate_limiter.record_sent(asyncio.get_running_loop().time())

    def _record_proof(self, response: FetchedResponse) -> None:
        if response.status >= 500:
            self.rate_limiter.record_failure()
        else:
            self.rate_limiter.record_response(response.first_byte)

    def _count(self, result: FetchResult) -> None:
        if result.outcome is Outcome.FAILED:
            self._add_to("failed")
        elif result.verdict in _COUNTERS:
            self._add_to(*_COUNTERS[result.verdict])
        elif result.outcome is Outcome.UNCACHEABLE:
            self._add_to("uncacheable")
        else:
            self._add_to("fetched")
        if result.status >= 500:
            self.rate_limiter.record_failure()
        elif result.outcome is not Outcome.HIT:
            self.rate_limiter.record_response(result.first_byte)
