"""A job: its queues, its rate and its counters, with scripted fetches."""

import asyncio
import unittest

from nova_cachemig.agent.ports import WarmCounts
from nova_cachemig.agent.warm.fetcher import FetchResult
from nova_cachemig.agent.warm.job import FetchJob
from nova_cachemig.agent.warm.proof import Verdict
from nova_cachemig.agent.warm.rate import RateLimiter
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError, Outcome
from nova_cachemig.model.access import PageKey


def pages(*urls):
    return [PageKey("shop", "h", url) for url in urls]


class ScriptedFetcher:
    """Returns or raises the result of each URL; by default the page is stored."""

    def __init__(self):
        self.results = {}
        self.urls = []
        self.gates = {}
        self.tries = {}  # URL -> seconds of each further request for a proof

    async def fetch(self, page, pace, record):
        self.urls.append(page.url)
        for seconds in self.tries.get(page.url, ()):
            await pace()
            record(FetchedResponse(200, {}, seconds, 0, b""))
        if page.url in self.gates:
            await self.gates[page.url].wait()
        result = self.results.get(page.url, FetchResult(Outcome.STORED, 200, 0.001))
        if isinstance(result, Exception):
            raise result
        return result


class JobTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.fetcher = ScriptedFetcher()

    def job(self, discover=0, **limits):
        defaults = {"max_rate": 1e6, "min_rate": 1e6, "max_concurrency": 1, "slow_factor": 2.0}
        return FetchJob(self.fetcher, RateLimiter(**defaults | limits), discover=discover)

    async def run_job(self, job):
        async with asyncio.timeout(10):
            return await job.run()

    async def test_pages_are_fetched_in_order_and_once(self):
        job = self.job()
        job.add(pages("/a", "/b", "/a"))
        self.assertTrue(await self.run_job(job))
        self.assertEqual(["/a", "/b"], self.fetcher.urls)
        self.assertEqual(WarmCounts(2, 2, 0, 0), job.counts)

    async def test_every_verdict_has_its_counter(self):
        self.fetcher.results = {
            f"/{verdict.name}": FetchResult(Outcome.STORED, 200, 0.001, verdict=verdict)
            for verdict in Verdict
        }
        job = self.job()
        job.add(pages("/static", *self.fetcher.results))
        await self.run_job(job)
        self.assertEqual(WarmCounts(5, 2, 0, 1, proved=1, dependent=1, changing=1), job.counts)

    async def test_the_requests_of_a_proof_count(self):
        self.fetcher.tries = {"/a": [0.001] * 4}
        job = self.job(max_rate=20, min_rate=20)
        job.add(pages("/a", "/b"))
        began = asyncio.get_running_loop().time()
        await self.run_job(job)
        # Six requests; two can be made up for.
        self.assertGreater(asyncio.get_running_loop().time() - began, 0.15)

    async def test_every_outcome_has_its_counter(self):
        self.fetcher.results = {
            "/hit": FetchResult(Outcome.HIT, 200, 0.001),
            "/pass": FetchResult(Outcome.UNCACHEABLE, 200, 0.001),
            "/500": FetchResult(Outcome.FAILED, 500, 0.001),
            "/error": FetchError("no response"),
        }
        job = self.job()
        job.add(pages("/a", "/hit", "/pass", "/500", "/error"))
        await self.run_job(job)
        self.assertEqual(WarmCounts(5, 2, 2, 1), job.counts)

    async def test_embedded_pages_follow_up_to_the_limit(self):
        self.fetcher.results["/a"] = FetchResult(
            Outcome.STORED, 200, 0.001, tuple(pages("/1", "/b", "/2", "/3"))
        )
        job = self.job(discover=3)
        job.add(pages("/a", "/b"))
        await self.run_job(job)
        self.assertEqual(["/a", "/b", "/1", "/2"], self.fetcher.urls)

    async def test_changed_pages_alternate_with_the_others_and_ignore_the_rate(self):
        job = self.job(max_rate=0.01, min_rate=0.01)
        job.add(pages("/a", "/b", "/c"))
        job.add_changed(pages("/b", "/x"))
        running = asyncio.create_task(job.run())
        async with asyncio.timeout(10):
            while len(self.fetcher.urls) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        job.add_changed(pages("/y"))
        async with asyncio.timeout(10):
            while len(self.fetcher.urls) < 4:  # noqa: ASYNC110
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        self.assertEqual(["/b", "/a", "/x", "/y"], self.fetcher.urls)  # /c waits for the rate
        self.assertEqual(5, job.counts.wanted)

    async def test_a_page_that_changes_during_its_fetch_is_fetched_again(self):
        gate = self.fetcher.gates["/a"] = asyncio.Event()
        job = self.job(max_concurrency=4)
        job.add_changed(pages("/a"))
        running = asyncio.create_task(self.run_job(job))
        async with asyncio.timeout(10):
            while not self.fetcher.urls:  # noqa: ASYNC110
                await asyncio.sleep(0)
        job.add_changed(pages("/a"))
        job.add_changed(pages("/a"))
        await asyncio.sleep(0)
        self.assertEqual(["/a"], self.fetcher.urls)  # not two at a time
        gate.set()
        await running
        self.assertEqual(["/a", "/a"], self.fetcher.urls)

    async def test_an_outdated_page_is_fetched_again(self):
        self.fetcher.results["/a"] = FetchResult(Outcome.STORED, 200, 0.001, outdated=True)
        job = self.job()
        job.add(pages("/a"))
        running = asyncio.create_task(self.run_job(job))
        async with asyncio.timeout(10):
            while len(self.fetcher.urls) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        del self.fetcher.results["/a"]
        await running
        self.assertGreaterEqual(self.fetcher.urls.count("/a"), 3)

    async def test_steady_writes_do_not_keep_it_from_its_end(self):
        self.fetcher.results["/a"] = FetchResult(Outcome.STORED, 200, 0.001, outdated=True)
        job = self.job()
        job.add(pages("/a", "/b", "/c"))
        async with asyncio.timeout(10):
            self.assertTrue(await job.run(to_the_last_change=False))
        self.assertLess(self.fetcher.urls.index("/c"), 6)
        self.assertEqual(pages("/a"), job.take_changed())
        self.assertEqual([], job.take_changed())
        self.assertEqual(job.counts.wanted, job.counts.fetched)

    async def test_it_ends_when_the_cache_cannot_be_reached(self):
        job = self.job()
        urls = [f"/{n}" for n in range(30)]
        self.fetcher.results = {url: FetchError("no cache", unreachable=True) for url in urls}
        job.add(pages(*urls))
        with self.assertLogs("nova_cachemig.agent.warm.job", "WARNING"):
            self.assertFalse(await self.run_job(job))
        self.assertEqual(10, len(self.fetcher.urls))
        self.assertEqual(WarmCounts(30, 0, 30, 0), job.counts)

    async def test_a_reachable_cache_resets_the_number_of_failures(self):
        job = self.job()
        urls = [f"/{n}" for n in range(30)]
        self.fetcher.results = {
            url: FetchError("no cache", unreachable=True) for url in urls if url[-1] != "5"
        }
        job.add(pages(*urls))
        self.assertTrue(await self.run_job(job))
        self.assertEqual(WarmCounts(30, 3, 27, 0), job.counts)

    async def test_a_cancellation_cancels_the_open_fetches(self):
        self.fetcher.gates["/a"] = asyncio.Event()
        job = self.job()
        job.add(pages("/a"))
        running = asyncio.create_task(job.run())
        while not self.fetcher.urls:  # noqa: ASYNC110
            await asyncio.sleep(0)
        running.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await running
        self.assertEqual(set(), job._tasks)

    async def test_an_unexpected_error_is_logged_and_counted(self):
        self.fetcher.results["/a"] = ZeroDivisionError()
        job = self.job()
        job.add(pages("/a", "/b"))
        with self.assertLogs("nova_cachemig.agent.warm.job", "ERROR"):
            await self.run_job(job)
        self.assertEqual(WarmCounts(2, 1, 1, 0), job.counts)
