"""The warmer with a cache on a real socket: the pages fetched before the pause."""

import asyncio
import dataclasses
import statistics
import time
from unittest import mock

from nova_cachemig.agent.warm import warmer
from nova_cachemig.agent.warm.warmer import CacheWarmer, hotset_limits
from nova_cachemig.model.access import PageKey
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.model.service import Service
from tests.unit.agent.warm.case import SERVICE, WarmerTest, access
from tests.unit.agent.warm.fakes import Reply


class WarmTest(WarmerTest):
    async def test_all_pages_are_fetched_the_most_needed_first(self):
        self.set(max_concurrency=1)
        self.make()
        urls = [f"/{i}" for i in range(30)]
        self.popular(*urls)
        counts = await self.warm()
        self.assertEqual(urls, self.cache.urls)
        self.assertEqual((30, 30, 0, 0), (counts.wanted, counts.fetched, counts.failed,
                                          counts.uncacheable))  # fmt: skip

    async def test_the_headers_of_a_request(self):
        self.popular("/a")
        await self.warm()
        headers = self.cache.requests[0].headers
        self.assertEqual("shop.example", headers["host"])
        self.assertEqual("shop", headers["x-cachemig-service"])
        self.assertEqual("gzip", headers["accept-encoding"])
        self.assertFalse({"cookie", "authorization", "cache-control"} & headers.keys())

    async def test_the_policy_of_the_service(self):
        rules = (Rule(("/mine/*",), never=True), Rule(ignore_query=("utm_*",)))
        service = Service(SERVICE, "i", 80, ("192.0.2.1", 80), policy=Policy(own=rules))
        self.warmer.set_services([service])
        self.popular("/a?utm_source=x", "/mine/b")
        await self.warm()
        self.assertEqual(["/a"], self.cache.urls)
        self.warmer.set_services([service])  # unchanged
        self.assertEqual(1, len(self.warmer.pages(SERVICE, 9)))

    async def test_a_page_that_is_the_same_whatever_the_cookies_is_fetched(self):
        policy = Policy(own=(Rule(paths=("/static/*",), static=True),))
        service = Service(SERVICE, "i", 80, ("192.0.2.1", 80), policy=policy)
        self.warmer.set_services([service])
        for url in ("/static/a.css", "/page"):
            self.warmer.record_access(dataclasses.replace(access(url), has_cookie=True))
        await self.warm()
        self.assertEqual(["/static/a.css"], self.cache.urls)

    async def test_what_past_warmings_leave_is_bounded(self):
        with mock.patch.object(warmer, "_KEPT_FETCHERS", 5):
            kept = asyncio.create_task(self.warmer.keep_warm(SERVICE))
            await asyncio.sleep(0)
            for number in range(20):
                deadline = asyncio.get_running_loop().time() + 5
                await self.warmer.warm(f"s{number}", deadline=deadline)
        states = self.warmer._states
        fetchers = [name for name, state in states.items() if state.fetcher is not None]
        self.assertEqual([SERVICE, *(f"s{n}" for n in range(14, 20))], fetchers)
        self.warmer.set_services([Service("s19", "i", 80, ("192.0.2.1", 80))])
        self.assertEqual({SERVICE, "s19"}, set(self.warmer._states))  # one is being kept warm
        kept.cancel()
        await asyncio.gather(kept, return_exceptions=True)
        self.warmer.set_services([])
        self.assertEqual({}, self.warmer._states)

    async def test_no_known_page(self):
        self.assertEqual(0, (await self.warm()).wanted)

    async def test_every_outcome_is_counted(self):
        def respond(request):
            return {
                "/ok": Reply(b"x"),
                "/hit": Reply(b"x", served="hit"),
                "/private": Reply(b"x", served="pass"),
                "/gone": Reply(b"x", status=404),
                "/broken": Reply(b"x", status=500, served="pass"),
                "/cut": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
                "/huge": Reply(b"x" * 5000),
            }[request.url]

        self.set(max_object_size=4000)
        self.make()
        self.cache.respond = respond
        self.popular("/ok", "/hit", "/private", "/gone", "/broken", "/cut", "/huge")
        counts = await self.warm()
        self.assertEqual((7, 2, 4, 1), (counts.wanted, counts.fetched, counts.failed,
                                        counts.uncacheable))  # fmt: skip
        left = {page.url for page in self.warmer.pages(SERVICE, 99)}
        self.assertEqual({"/ok", "/hit", "/broken", "/cut"}, left)

    async def test_warmings_at_the_same_time_share_the_budget(self):
        both, shares = asyncio.Barrier(2), []

        async def respond(request):
            if request.url == "/first":
                await both.wait()
            shares.append(self.warmer._budget.rate)
            return Reply(b"x")

        self.set(total_rate=90)
        self.make()
        self.cache.respond = respond
        for name in ("s1", "s2"):
            self.warmer.record_access(dataclasses.replace(access("/first"), service=name))
        deadline = asyncio.get_running_loop().time() + 20
        async with asyncio.TaskGroup() as tasks:
            for name in ("s1", "s2"):
                tasks.create_task(self.warmer.warm(name, deadline=deadline))
        self.assertEqual(45.0, shares[0])
        self.assertEqual(90.0, self.warmer._budget.rate)

    async def test_stops_at_the_deadline(self):
        async def never(request):
            await asyncio.Event().wait()

        self.cache.respond = never
        self.popular("/a", "/b", "/c")
        began = asyncio.get_running_loop().time()
        counts = await self.warm(0.1)
        self.assertLess(asyncio.get_running_loop().time() - began, 1.0)
        self.assertEqual((3, 0), (counts.wanted, counts.fetched))
        self.assertEqual(counts, self.warmer.warm_counts(SERVICE))
        self.assertEqual(0, (await self.warm(-1.0)).fetched)

    async def test_a_cancellation_cancels_the_requests(self):
        gate = asyncio.Event()

        async def never(request):
            gate.set()
            await asyncio.Event().wait()

        self.cache.respond = never
        self.popular("/a", "/b", "/c")
        before = asyncio.all_tasks()
        task = asyncio.create_task(self.warm())
        await gate.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertEqual(3, self.warmer.warm_counts(SERVICE).wanted)
        ours = {t for t in asyncio.all_tasks() - before if "FetchJob" in repr(t)}
        self.assertEqual(set(), ours)

    async def test_the_cache_does_not_listen(self):
        self.make("/nowhere/cache.sock")
        self.popular(*(f"/{i}" for i in range(100)))
        began = time.monotonic()
        counts = await self.warm()
        self.assertEqual((100, 0, 100), (counts.wanted, counts.fetched, counts.failed))
        self.assertLess(time.monotonic() - began, 5.0)

    async def test_refused_by_the_engine(self):
        self.cache.respond = lambda request: Reply(status=409, served="refused")
        self.popular(*(f"/{i}" for i in range(100)))
        counts = await self.warm()
        self.assertEqual(100, counts.failed)
        self.assertLess(len(self.cache.requests), 30)
        self.assertEqual(100, len(self.warmer.pages(SERVICE, 999)))  # no page is refused for it

    async def test_a_slow_guest_gets_fewer_requests(self):
        capacity = asyncio.Semaphore(2)  # requests that the guest handles at the same time

        async def respond(request):
            async with capacity:
                await asyncio.sleep(0.04)  # a busy machine's pauses are shorter
            return Reply(b"x")

        self.cache.respond = respond
        self.popular(*(f"/{i}" for i in range(100)))
        counts = await self.warm()
        self.assertEqual(100, counts.fetched)
        # The limit is 16; test_rate checks the exact rate.
        self.assertLess(statistics.mean(self.cache.opens), 13)

    async def test_rate_is_bounded(self):
        self.set(max_rate=50, max_concurrency=1)
        self.make()
        self.popular(*(f"/{i}" for i in range(30)))
        began = time.monotonic()
        await self.warm()
        self.assertGreater(time.monotonic() - began, 0.4)

    async def test_an_unexpected_error_is_logged_and_counted(self):
        def fails(service, host):
            raise KeyError(service)

        self.warmer = CacheWarmer(self.conf, self.hotset, self.cache.path, fails)
        self.popular("/a")
        with self.assertLogs("nova_cachemig.agent.warm.job", "ERROR"):
            self.assertEqual(1, (await self.warm()).failed)

    async def test_a_second_call_waits_for_the_first(self):
        self.popular("/a", "/b")
        both = await asyncio.gather(self.warm(), self.warm())
        self.assertEqual([2, 2], [counts.fetched for counts in both])


class LearnTest(WarmerTest):
    async def test_pages_and_forget(self):
        self.popular("/a", "/b")
        self.assertEqual(
            [PageKey(SERVICE, "shop.example", url) for url in ("/a", "/b")],
            self.warmer.pages(SERVICE, 5),
        )
        self.warmer.forget(SERVICE)
        self.assertEqual([], self.warmer.pages(SERVICE, 5))

    def test_limits_come_from_the_configuration(self):
        self.set(max_pages=7, half_lives=[5, 50], horizon=9)
        found = hotset_limits(self.conf)
        self.assertEqual((7, (5.0, 50.0), 9.0),
                         (found.pages_per_service, found.half_lives, found.horizon))  # fmt: skip
