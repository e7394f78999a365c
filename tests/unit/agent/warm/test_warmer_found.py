"""The warmer with a cache on a real socket: embedded and linked pages."""

import asyncio

from nova_cachemig.model.service import Service
from tests.unit.agent.warm.case import SERVICE, WarmerTest
from tests.unit.agent.warm.fakes import Reply


class DiscoveryTest(WarmerTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.set(discover_links=False)
        self.make()
        self.cache.respond = self.site

    @staticmethod
    def site(request):
        html = {"Content-Type": "text/html"}
        return {
            "/": Reply(b"<img src=/a.png><link rel=stylesheet href=/s.css><img src=/known.png>"
                       b"<img src=/x?q=1><a href=/next>", headers=html),
            "/s.css": Reply(b"x{background:url(deep.png)}", headers={"Content-Type": "text/css"}),
            "/private": Reply(b"<img src=/secret.png>", headers=html, served="pass"),
            "/error": Reply(b"<img src=/e.png>", headers=html, status=500, served="pass"),
        }.get(request.url, Reply(b"x", headers={"Content-Type": "image/png"}))  # fmt: skip

    async def test_embedded_pages_follow_known_pages(self):
        self.set(max_concurrency=1)
        self.make()
        self.popular("/", "/known.png", "/other")
        counts = await self.warm()
        self.assertEqual(
            ["/", "/known.png", "/other", "/a.png", "/s.css", "/deep.png"], self.cache.urls
        )
        self.assertEqual(6, counts.fetched)

    async def test_also_of_uncacheable_pages_but_not_of_errors(self):
        self.popular("/private", "/error")
        await self.warm()
        self.assertIn("/secret.png", self.cache.urls)
        self.assertNotIn("/e.png", self.cache.urls)

    async def test_bounded_and_off(self):
        many = b"".join(b"<img src=/%d.png>" % i for i in range(50))
        self.cache.respond = lambda request: Reply(many, headers={"Content-Type": "text/html"})
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
        self.cache.respond = self.site

    def site(self, request):
        return Reply(self.pages.get(request.url, b"x"), headers={"Content-Type": "text/html"})

    async def test_linked_pages_are_last_in_the_order_of_their_sources(self):
        self.popular("/a", "/b")
        counts = await self.warm()
        self.assertEqual(["/a", "/b", "/a.png", "/a1", "/a2", "/b1", "/a1.png"], self.cache.urls)
        self.assertEqual((7, 7), (counts.wanted, counts.fetched))
        self.assertEqual(2, len(self.warmer.pages(SERVICE, 99)))  # only those that users requested

    async def test_the_order_does_not_depend_on_response_times(self):
        self.pages = {f"/{i}": b"<a href=/to/%d>" % i for i in range(40)}
        self.set(max_concurrency=8, fetch_timeout=10.0)  # also on a busy machine
        self.make()

        last_requested = asyncio.Event()

        async def one_is_slow(request):
            if request.url == "/30":
                await last_requested.wait()
            elif request.url == "/39":
                last_requested.set()
            return self.site(request)

        self.cache.respond = one_is_slow
        self.popular(*self.pages)
        await self.warm()
        linked = [url for url in self.cache.urls if url.startswith("/to/")]
        self.assertEqual(40, len(linked))
        self.assertEqual(["/to/0"], linked[:1])
        self.assertLess(linked.index("/to/30"), linked.index("/to/39"))

    async def test_the_headers_of_a_request(self):
        self.popular("/a")
        await self.warm()
        headers = {r.url: r.headers for r in self.cache.requests}
        for each in headers.values():  # these are random
            del each["x-forwarded-for"], each["x-cachemig-nonce"]
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

    async def test_a_service_overrides_the_option(self):
        for says, option, follows in (
            (False, True, False), (True, False, True), (None, True, True), (None, False, False),
        ):  # fmt: skip
            self.set(discover_links=option)
            self.make()
            self.warmer.set_services(
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

    async def test_the_site_says_in_its_robots_txt_what_not_to_follow(self):
        self.cache.robots = Reply(b"User-agent: *\nDisallow: /a2\nDisallow: /b\n")
        self.popular("/a", "/b")
        await self.warm()
        self.assertEqual(["/a", "/b", "/a.png", "/a1", "/a1.png"], self.cache.urls)
        self.assertEqual(1, self.cache.robots_requests)

    async def test_no_link_is_followed_while_the_robots_txt_is_unknown(self):
        for reply in (
            Reply(status=500), Reply(status=301), Reply(status=409, served="refused"),
            Reply(raw=b"x\r\n\r\n"),
        ):  # fmt: skip
            self.cache.robots = reply
            self.cache.requests.clear()
            self.make()
            self.popular("/a")
            await self.warm()
            self.assertEqual(["/a", "/a.png"], self.cache.urls, reply)

    async def test_another_pattern(self):
        self.set(discover_links_never="^/a[0-9]")
        self.make()
        self.pages["/b"] += b"<a href=/api>"
        self.popular("/a", "/b")
        await self.warm()
        self.assertEqual(["/a", "/b", "/a.png", "/b1", "/api"], self.cache.urls)
        with self.assertRaisesRegex(ValueError, "regular expression"):
            self.conf.set_override("discover_links_never", "(", "warm")

    async def test_uncacheable_pages_are_not_fetched_again(self):
        def site(request):
            reply = self.site(request)
            if request.url == "/a1":
                reply.served = "pass"
            if request.url == "/a2":
                reply.status = 404
            return reply

        self.cache.respond = site
        self.popular("/a", "/b")
        counts = await self.warm()
        self.assertEqual((1, 1), (counts.uncacheable, counts.failed))
        await self.start_keeping()
        self.popular("/new")
        await self.until(lambda: "/new" in self.cache.urls)
        await self.warm()
        self.assertEqual((1, 1), (self.cache.urls.count("/a1"), self.cache.urls.count("/a2")))

    async def test_pages_after_the_deadline_are_fetched_later(self):
        async def slow(request):
            if request.url.endswith("2") and self.gate:
                await asyncio.Event().wait()
            return self.site(request)

        self.cache.respond, self.gate = slow, True
        self.popular("/a", "/b")
        await self.warm(0.3)
        self.assertNotIn("/b1", self.cache.urls)
        self.gate = False
        await self.start_keeping()
        await self.until(lambda: {"/a2", "/b1"} <= set(self.cache.urls))
        await self.until(lambda: self.cache.urls.count("/a2") == 2)  # its first fetch was cancelled

    async def test_cache_goes_away(self):
        def gone(request):
            known = request.url in {"/a", "/b"}
            return self.site(request) if known else Reply(status=409, served="refused")

        self.pages["/a"] = b"".join(b"<a href=/%d>" % i for i in range(500))
        self.cache.respond = gone
        self.popular("/a", "/b")
        counts = await self.warm()
        self.assertLess(len(self.cache.urls), 20)
        self.assertLess(counts.wanted, 70)  # the queued ones; the others are not tried

    async def test_renewed_and_fetched_again_after_a_write(self):
        def site(request):
            reply = self.site(request)
            if request.url == "/a1":
                reply.headers["Cache-Control"] = "max-age=1, must-revalidate"
            return reply

        self.cache.respond = site
        self.popular("/a")
        await self.warm()
        await self.start_keeping()
        await self.until(lambda: self.cache.urls.count("/a1") == 2)
        self.assertEqual("no-cache", self.cache.requests[-1].headers["cache-control"])
        self.warmer.invalidated(SERVICE, "/a2")
        await self.until(lambda: self.cache.urls.count("/a2") == 2)
        self.assertNotIn("/deep", self.cache.urls)  # one level only

    async def test_pages_that_become_known(self):
        self.popular("/a")
        await self.warm()
        self.assertNotIn("/deep", self.cache.urls)
        await self.start_keeping()
        self.popular("/a1", "/deeper")
        self.pages["/deeper"] = b"<a href=/deepest>"
        await self.until(lambda: "/deepest" in self.cache.urls)  # also links of new pages
        self.warmer.invalidated(SERVICE, "/a1")
        await self.until(lambda: "/deep" in self.cache.urls)

    async def test_written_during_the_fetch(self):
        async def site(request):
            if request.url == "/a1" and self.cache.urls.count("/a1") == 1:
                self.warmer.invalidated(SERVICE, "/a1")
            return self.site(request)

        self.cache.respond = site
        self.popular("/a")
        await self.warm()
        self.assertEqual(2, self.cache.urls.count("/a1"))
