"""Fetches a queue of pages of one service at the pace that its guest allows."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterable

from oslo_log import log

from nova_cachemig.agent.seams import WarmCounts
from nova_cachemig.agent.warm.answer import FetchError, Verdict
from nova_cachemig.agent.warm.fetcher import Fetcher
from nova_cachemig.agent.warm.pace import Pace
from nova_cachemig.model.access import PageKey

LOG = log.getLogger(__name__)

_UNREACHABLE = 10  # fetches in a row that find no cache at all, after which the job ends


class Job:
    """One warming, or one look-after during memory copy: a queue, a pace and counts."""

    def __init__(self, fetcher: Fetcher, pace: Pace, *, discover: int) -> None:
        """``discover``: how many pages beyond the queue may be found and fetched."""
        self._fetcher, self.pace = fetcher, pace
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

    def add_first(self, pages: Iterable[PageKey]) -> None:
        """Queue pages before all others."""
        for page in pages:
            if page in self._queued and page in self._known:
                self._known.remove(page)
            else:
                self._wanted += 1
            self._queued.add(page)
            self._known.appendleft(page)

    async def run(self) -> bool:
        """Until nothing is left; False: the cache cannot be reached. May be called again.

        Cancelled at will: open requests are cut.
        """
        loop = asyncio.get_running_loop()
        try:
            while (self._known or self._found or self._tasks) and not self._hopeless():
                now = loop.time()
                delay: float | None = None
                while (self._known or self._found) and len(self._tasks) < self.pace.concurrency:
                    delay = self.pace.wait(now)
                    if delay > 0:
                        break
                    self.pace.sent(now)
                    delay = None
                    self._begin((self._known or self._found).popleft())
                await self._rest(delay)
        finally:
            await self._cut()
        return self._unreachable < _UNREACHABLE

    async def _rest(self, delay: float | None) -> None:
        """Until a fetch ends or the next may begin."""
        if self._tasks:
            done, self._tasks = await asyncio.wait(
                self._tasks, timeout=delay, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        elif delay is not None:
            await asyncio.sleep(delay)

    async def _cut(self) -> None:
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hopeless(self) -> bool:
        if self._unreachable < _UNREACHABLE:
            return False
        LOG.warning("warming ends early: %s", self._reason)
        self._failed += len(self._known) + len(self._found)
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
                self.pace.failed()
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
            self.pace.failed()
        elif verdict is not Verdict.HIT:
            self.pace.answered(first_byte)
