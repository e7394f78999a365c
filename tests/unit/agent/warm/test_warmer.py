"""The warmer against a cache on a real socket."""

import asyncio
import statistics
import time
import unittest

from oslo_config import cfg

from nova_cachemig.agent.warm.warmer import CacheWarmer, limits
from nova_cachemig.conf import warm as warm_conf
from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.service import Service
from nova_cachemig.popularity.hotset import HotSet
from tests.unit.agent.warm.fakes import FakeCache, Reply

SERVICE = "shop"


def access(url, n=1, host="shop.example", seconds=0.001):
    return AccessRecord(SERVICE, f"c{n}", "GET", host, url, 200, time.time(), seconds)


def headers_for(service, host):
    return {"X-Cachemig-Service": service}


class WarmerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.conf = cfg.ConfigOpts()
        warm_conf.register(self.conf)
        self.conf([])
        self.set(keep_interval=0.1, fetch_timeout=2.0)
        self.cache = FakeCache(lambda request: Reply(b"x"))
        await self.enterAsyncContext(self.cache)
        self.make()

    def set(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, "warm")
            # oslo.config keeps overrides with the group, which all ConfigOpts of a process share.
            self.addCleanup(self.conf.clear_override, name, "warm")

    def make(self, path=None):
        self.hotset = HotSet(limits(self.conf), seed=1)
        self.warmer = CacheWarmer(self.conf, self.hotset, path or self.cache.path, headers_for)
        self.addCleanup(self.warmer.close)

    def popular(self, *urls):
        """The first is the most used."""
        for times, url in enumerate(reversed(urls), start=1):
            for n in range(times):
                self.warmer.saw(access(url, n))

    async def warm(self, seconds=10.0):
        return await self.warmer.warm(SERVICE, deadline=asyncio.get_running_loop().time() + seconds)

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - of the other side of a socket
                await asyncio.sleep(0.005)

    async def keeping(self):
        task = asyncio.create_task(self.warmer.keep_warm(SERVICE))

        async def end():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.addAsyncCleanup(end)
        return task


class WarmTest(WarmerTest):
    async def test_all_pages_the_most_needed_first(self):
        self.set(max_concurrency=1)
        self.make()
        urls = [f"/{i}" for i in range(30)]
        self.popular(*urls)
        counts = await self.warm()
        self.assertEqual(urls, self.cache.urls)
        self.assertEqual((30, 30, 0, 0), (counts.wanted, counts.fetched, counts.failed,
                                          counts.uncacheable))  # fmt: skip

    async def test_how_it_asks(self):
        self.popular("/a")
        await self.warm()
        headers = self.cache.requests[0].headers
        self.assertEqual("shop.example", headers["host"])
        self.assertEqual("shop", headers["x-cachemig-service"])
        self.assertEqual("gzip", headers["accept-encoding"])
        self.assertFalse({"cookie", "authorization", "cache-control"} & headers.keys())

    async def test_nothing_known(self):
        self.assertEqual(0, (await self.warm()).wanted)

    async def test_counts_and_does_not_raise(self):
        def answer(request):
            return {
                "/ok": Reply(b"x"),
                "/hit": Reply(b"x", served="hit"),
                "/private": Reply(b"x", served="pass"),
                "/gone": Reply(b"x", status=404),
                "/broken": Reply(b"x", status=500, served="pass"),
                "/cut": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le", close=True),
                "/huge": Reply(b"x" * 5000),
            }[request.url]

        self.set(max_object=4000)
        self.make()
        self.cache.answer = answer
        self.popular("/ok", "/hit", "/private", "/gone", "/broken", "/cut", "/huge")
        counts = await self.warm()
        self.assertEqual((7, 2, 4, 1), (counts.wanted, counts.fetched, counts.failed,
                                        counts.uncacheable))  # fmt: skip
        left = {page.url for page in self.warmer.pages(SERVICE, 99)}
        self.assertEqual({"/ok", "/hit", "/broken", "/cut"}, left)

    async def test_stops_at_the_deadline(self):
        async def never(request):
            await asyncio.Event().wait()

        self.cache.answer = never
        self.popular("/a", "/b", "/c")
        began = asyncio.get_running_loop().time()
        counts = await self.warm(0.1)
        self.assertLess(asyncio.get_running_loop().time() - began, 1.0)
        self.assertEqual((3, 0), (counts.wanted, counts.fetched))
        self.assertEqual(0, (await self.warm(-1.0)).fetched)

    async def test_cancelled_leaves_nothing_open(self):
        gate = asyncio.Event()

        async def never(request):
            gate.set()
            await asyncio.Event().wait()

        self.cache.answer = never
        self.popular("/a", "/b", "/c")
        before = asyncio.all_tasks()
        task = asyncio.create_task(self.warm())
        await gate.wait()
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        ours = {t for t in asyncio.all_tasks() - before if "Job" in repr(t)}
        self.assertEqual(set(), ours)

    async def test_cache_is_not_there(self):
        self.make("/nowhere/cache.sock")
        self.popular(*(f"/{i}" for i in range(100)))
        began = time.monotonic()
        counts = await self.warm()
        self.assertEqual((100, 0, 100), (counts.wanted, counts.fetched, counts.failed))
        self.assertLess(time.monotonic() - began, 5.0)

    async def test_turned_away_by_the_engine(self):
        self.cache.answer = lambda request: Reply(status=409, served="refused")
        self.popular(*(f"/{i}" for i in range(100)))
        counts = await self.warm()
        self.assertEqual(100, counts.failed)
        self.assertLess(len(self.cache.requests), 30)
        self.assertEqual(100, len(self.warmer.pages(SERVICE, 999)))  # none is to blame

    async def test_slow_guest_is_asked_less(self):
        able = asyncio.Semaphore(2)  # requests that the guest works on at a time

        async def answer(request):
            async with able:
                await asyncio.sleep(0.01)
            return Reply(b"x")

        self.cache.answer = answer
        self.popular(*(f"/{i}" for i in range(150)))
        counts = await self.warm()
        self.assertEqual(150, counts.fetched)
        # Of 16 that it may have open; the exact pace is test_pace's.
        self.assertLess(statistics.mean(self.cache.opens), 12)

    async def test_rate_is_bounded(self):
        self.set(max_rate=50, max_concurrency=1)
        self.make()
        self.popular(*(f"/{i}" for i in range(30)))
        began = time.monotonic()
        await self.warm()
        self.assertGreater(time.monotonic() - began, 0.4)

    async def test_headers_that_cannot_be_had(self):
        def fails(service, host):
            raise KeyError(service)

        self.warmer = CacheWarmer(self.conf, self.hotset, self.cache.path, fails)
        self.popular("/a")
        with self.assertLogs("nova_cachemig.agent.warm.job", "ERROR"):
            self.assertEqual(1, (await self.warm()).failed)

    async def test_second_call_waits_for_its_turn(self):
        self.popular("/a", "/b")
        both = await asyncio.gather(self.warm(), self.warm())
        self.assertEqual([2, 2], [counts.fetched for counts in both])


class DiscoveryTest(WarmerTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.set(discover_links=False)
        self.make()
        self.cache.answer = self.site

    @staticmethod
    def site(request):
        html = {"Content-Type": "text/html"}
        return {
            "/": Reply(b"<img src=/a.png><link rel=stylesheet href=/s.css><img src=/known.png>"
                       b"<img src=/x.png?q=1><a href=/next>", headers=html),
            "/s.css": Reply(b"x{background:url(deep.png)}", headers={"Content-Type": "text/css"}),
            "/private": Reply(b"<img src=/secret.png>", headers=html, served="pass"),
            "/error": Reply(b"<img src=/e.png>", headers=html, status=500, served="pass"),
        }.get(request.url, Reply(b"x", headers={"Content-Type": "image/png"}))  # fmt: skip

    async def test_what_is_embedded_comes_after_what_is_known(self):
        self.set(max_concurrency=1)
        self.make()
        self.popular("/", "/known.png", "/other")
        counts = await self.warm()
        self.assertEqual(
            ["/", "/known.png", "/other", "/a.png", "/s.css", "/deep.png"], self.cache.urls
        )
        self.assertEqual(6, counts.fetched)

    async def test_of_what_is_not_stored_too_but_not_of_errors(self):
        self.popular("/private", "/error")
        await self.warm()
        self.assertIn("/secret.png", self.cache.urls)
        self.assertNotIn("/e.png", self.cache.urls)

    async def test_bounded_and_off(self):
        many = b"".join(b"<img src=/%d.png>" % i for i in range(50))
        self.cache.answer = lambda request: Reply(many, headers={"Content-Type": "text/html"})
        for options, fetched in (({"discover_limit": 7}, 8), ({"discover": False}, 1)):
            self.set(**options)
            self.make()
            self.popular("/")
            with self.subTest(options):
                self.assertEqual(fetched, (await self.warm()).fetched)


class LinksTest(WarmerTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.set(max_concurrency=1)
        self.make()
        self.pages = {
            "/a": b"<a href=/a1><a href=/b><a href=/a2><img src=/a.png>",
            "/b": b"<a href=/b1><a href=/a1><a href=/logout><a href=/q?x=1>",
            "/a1": b"<a href=/deep><img src=/a1.png>",
        }
        self.cache.answer = self.site

    def site(self, request):
        return Reply(self.pages.get(request.url, b"x"), headers={"Content-Type": "text/html"})

    async def test_after_all_else_in_the_order_of_the_pages_that_link(self):
        self.popular("/a", "/b")
        counts = await self.warm()
        self.assertEqual(["/a", "/b", "/a.png", "/a1", "/a2", "/b1", "/a1.png"], self.cache.urls)
        self.assertEqual((7, 7), (counts.wanted, counts.fetched))
        self.assertEqual(2, len(self.warmer.pages(SERVICE, 99)))  # known is what users asked for

    async def test_most_needed_first_whichever_answers_first(self):
        self.pages = {f"/{i}": b"<a href=/to/%d>" % i for i in range(40)}
        self.set(max_concurrency=8)
        self.make()

        async def slow_first(request):
            await asyncio.sleep(0.05 if request.url == "/0" else 0)
            return self.site(request)

        self.cache.answer = slow_first
        self.popular(*self.pages)
        await self.warm()
        linked = [url for url in self.cache.urls if url.startswith("/to/")]
        self.assertEqual(40, len(linked))
        self.assertEqual(["/to/0"], linked[:1])
        self.assertLess(linked.index("/to/1"), linked.index("/to/30"))

    async def test_how_it_asks(self):
        self.popular("/a")
        await self.warm()
        headers = {r.url: r.headers for r in self.cache.requests}
        self.assertEqual(headers["/a"], headers["/a1"])
        self.assertFalse({"cookie", "authorization"} & headers["/a1"].keys())

    async def test_off_and_bounded(self):
        self.pages["/"] = b"".join(b"<a href=/%d>" % i for i in range(300))
        for options, fetched in (
            ({"discover_links_limit": 7}, 8),
            ({"discover_links_limit": 0}, 1),
            ({"discover_links_limit": 1000, "discover_links_size": 64}, 1 + 64),
            ({"discover_links_size": 0}, 1),
            ({"discover_links": False}, 1),
        ):
            self.set(**options)
            self.make()
            self.popular("/")
            with self.subTest(options):
                self.assertEqual(fetched, (await self.warm()).fetched)

    async def test_as_the_service_itself_says(self):
        for says, option, follows in (
            (False, True, False), (True, False, True), (None, True, True), (None, False, False),
        ):  # fmt: skip
            self.set(discover_links=option)
            self.make()
            self.warmer.told(
                Service(name, "i", 80, ("192.0.2.1", 80), follow_links=value)
                for name, value in ((SERVICE, says), ("other", False))
            )
            self.popular("/b")
            with self.subTest(says=says, option=option):
                self.assertEqual(4 if follows else 1, (await self.warm()).fetched)

    async def test_embedded_and_linked_is_fetched_once(self):
        self.pages["/"] = b"<a href=/photo.jpg><img src=/photo.jpg></a>"
        self.popular("/")
        await self.warm()
        self.assertEqual(["/", "/photo.jpg"], self.cache.urls)

    async def test_large_page(self):
        self.pages["/"] = b"lorem ipsum " * 10_000 + b"<a href=/last><img src=/last.png>"
        self.popular("/")
        await self.warm()
        self.assertEqual(["/", "/last.png", "/last"], self.cache.urls)

    async def test_without_embedded_pages(self):
        self.set(discover=False)
        self.make()
        self.popular("/a")
        await self.warm()
        self.assertEqual(["/a", "/a1", "/b", "/a2"], self.cache.urls)

    async def test_pattern_of_ones_own(self):
        self.set(discover_links_never="^/a[0-9]")
        self.make()
        self.popular("/a", "/b")
        await self.warm()
        self.assertEqual(["/a", "/b", "/a.png", "/b1", "/logout"], self.cache.urls)
        with self.assertRaisesRegex(ValueError, "regular expression"):
            self.conf.set_override("discover_links_never", "(", "warm")

    async def test_cannot_be_stored_is_not_asked_again(self):
        def site(request):
            reply = self.site(request)
            if request.url == "/a1":
                reply.served = "pass"
            if request.url == "/a2":
                reply.status = 404
            return reply

        self.cache.answer = site
        self.popular("/a", "/b")
        counts = await self.warm()
        self.assertEqual((1, 1), (counts.uncacheable, counts.failed))
        await self.keeping()
        self.popular("/new")
        await self.until(lambda: "/new" in self.cache.urls)
        await self.warm()
        self.assertEqual((1, 1), (self.cache.urls.count("/a1"), self.cache.urls.count("/a2")))

    async def test_deadline_comes_first_and_the_rest_while_memory_is_copied(self):
        async def slow(request):
            if request.url.endswith("2") and self.gate:
                await asyncio.Event().wait()
            return self.site(request)

        self.cache.answer, self.gate = slow, True
        self.popular("/a", "/b")
        await self.warm(0.3)
        self.assertNotIn("/b1", self.cache.urls)
        self.gate = False
        await self.keeping()
        await self.until(lambda: {"/a2", "/b1"} <= set(self.cache.urls))
        await self.until(lambda: self.cache.urls.count("/a2") == 2)  # it was cut

    async def test_cache_goes_away(self):
        def gone(request):
            known = request.url in {"/a", "/b"}
            return self.site(request) if known else Reply(status=409, served="refused")

        self.pages["/a"] = b"".join(b"<a href=/%d>" % i for i in range(500))
        self.cache.answer = gone
        self.popular("/a", "/b")
        counts = await self.warm()
        self.assertLess(len(self.cache.urls), 20)
        self.assertLess(counts.wanted, 70)  # what was queued; the others are not tried

    async def test_renewed_and_fetched_again_after_a_write(self):
        def site(request):
            reply = self.site(request)
            if request.url == "/a1":
                reply.headers["Cache-Control"] = "max-age=1, must-revalidate"
            return reply

        self.cache.answer = site
        self.popular("/a")
        await self.warm()
        await self.keeping()
        await self.until(lambda: self.cache.urls.count("/a1") == 2)
        self.assertEqual("no-cache", self.cache.requests[-1].headers["cache-control"])
        self.warmer.invalidated(SERVICE, "/a2")
        await self.until(lambda: self.cache.urls.count("/a2") == 2)
        self.assertNotIn("/deep", self.cache.urls)  # one level, however often it is fetched

    async def test_known_since_then(self):
        self.popular("/a")
        await self.warm()
        self.assertNotIn("/deep", self.cache.urls)
        await self.keeping()
        self.popular("/a1", "/deeper")
        self.pages["/deeper"] = b"<a href=/deepest>"
        await self.until(lambda: "/deepest" in self.cache.urls)  # new pages' links, too
        self.warmer.invalidated(SERVICE, "/a1")
        await self.until(lambda: "/deep" in self.cache.urls)

    async def test_written_while_it_was_fetched(self):
        async def site(request):
            if request.url == "/a1" and self.cache.urls.count("/a1") == 1:
                self.warmer.invalidated(SERVICE, "/a1")
            return self.site(request)

        self.cache.answer = site
        self.popular("/a")
        await self.warm()
        await self.keeping()
        await self.until(lambda: self.cache.urls.count("/a1") == 2)


class KeepWarmTest(WarmerTest):
    async def test_newly_popular(self):
        self.popular("/a")
        await self.warm()
        await self.keeping()
        self.popular("/new")
        await self.until(lambda: "/new" in self.cache.urls)
        self.assertEqual(1, self.cache.urls.count("/a"))

    async def test_invalidated_at_once(self):
        self.set(keep_interval=60.0)
        self.popular("/a", "/b")
        await self.warm()
        await self.keeping()
        await asyncio.sleep(0.05)  # it has looked, and waits
        self.warmer.invalidated(SERVICE, "/b")
        await self.until(lambda: self.cache.urls.count("/b") == 2)
        self.assertEqual(1, self.cache.urls.count("/a"))
        self.assertNotIn("cache-control", self.cache.requests[-1].headers)

    async def test_changed_pages_do_not_wait_for_the_rate(self):
        self.set(keep_interval=60.0, keep_rate=1, min_rate=1)
        urls = [f"/{n}" for n in range(6)]
        self.popular(*urls)
        await self.warm()
        await self.keeping()
        await asyncio.sleep(0.05)  # it has looked, and waits
        began = time.monotonic()
        for url in urls:  # the first wakes it, the others come while it works
            self.warmer.invalidated(SERVICE, url)
            await self.until(lambda url=url: self.cache.urls.count(url) == 2)
        self.assertLess(time.monotonic() - began, 2.0)

    async def test_changed_pages_go_before_those_that_wait_for_the_rate(self):
        self.set(keep_interval=0.1, keep_rate=1, min_rate=1)
        self.popular("/a")
        await self.warm()
        self.popular("/new")
        self.warmer.saw(access("/newer"))
        self.warmer.saw(access("/newest"))
        await self.keeping()
        await self.until(lambda: "/new" in self.cache.urls)  # the next of them in a second
        began = time.monotonic()
        self.warmer.invalidated(SERVICE, "/a")
        await self.until(lambda: self.cache.urls.count("/a") == 2)
        self.assertLess(time.monotonic() - began, 0.9)

    async def test_invalidated_of_all_hosts_and_of_none(self):
        for host in ("x.example", "y.example"):
            self.warmer.saw(access("/a", host=host))
        await self.warm()
        await self.keeping()
        self.warmer.invalidated(SERVICE, "/a")
        self.warmer.invalidated(SERVICE, "/never")
        self.warmer.invalidated("unknown", "/a")
        await self.until(lambda: len(self.cache.urls) == 4)
        self.assertEqual(2, [r.headers["host"] for r in self.cache.requests].count("x.example"))

    async def test_renewed_before_its_end(self):
        self.cache.answer = lambda request: Reply(
            b"x",
            headers={"Cache-Control": "max-age=1, must-revalidate" if request.url == "/short"
                     else "max-age=600"},
        )  # fmt: skip
        self.popular("/short", "/long")
        await self.warm()
        began = time.monotonic()
        await self.keeping()
        await self.until(lambda: self.cache.urls.count("/short") == 2)
        self.assertLess(time.monotonic() - began, 1.0)
        self.assertEqual("no-cache", self.cache.requests[-1].headers["cache-control"])
        self.assertEqual(1, self.cache.urls.count("/long"))

    async def test_page_that_fails_is_left_alone_for_a_while(self):
        self.cache.answer = lambda request: Reply(status=503, served="pass")
        self.popular("/a")
        await self.warm()
        self.cache.answer = lambda request: Reply(b"x")
        await self.keeping()
        self.popular("/b")
        await self.until(lambda: "/b" in self.cache.urls)
        self.assertEqual(1, self.cache.urls.count("/a"))

    async def test_without_a_warming_before(self):
        self.popular("/a")
        await self.keeping()
        await self.until(lambda: self.cache.urls == ["/a"])

    async def test_ends_when_cancelled(self):
        task = await self.keeping()
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.popular("/a")
        self.assertEqual(1, (await self.warm()).fetched)  # the service is not locked


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
        found = limits(self.conf)
        self.assertEqual((7, (5.0, 50.0), 9.0),
                         (found.pages_per_service, found.half_lives, found.horizon))  # fmt: skip
