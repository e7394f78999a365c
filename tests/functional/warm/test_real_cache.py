"""The warmer with a guest behind a real HAProxy and a real Varnish."""

from __future__ import annotations

import asyncio
import random
import sys
import time

from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.agent.warm.warmer import CacheWarmer, hotset_limits
from nova_cachemig.conf import warm as warm_conf
from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.popularity.hotset import HotSet
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.warm.guest import PageGuest

HOST = "shop.example"


class WarmCase(EngineCase):
    warm_options: dict[str, object] = {}
    guest: PageGuest

    def new_guest(self) -> PageGuest:
        return PageGuest()

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        warm_conf.register(self.conf)
        for name, value in self.warm_options.items():
            self.conf.set_override(name, value, "warm")
            self.addCleanup(self.conf.clear_override, name, "warm")
        self.warmer = CacheWarmer(
            self.conf,
            HotSet(hotset_limits(self.conf), seed=1),
            self.engine.cache_socket,
            warm_headers,
            stale_max=self.conf.engine.stale_max,
        )
        self.addCleanup(self.warmer.close)
        self.warmer.set_services([self.service])

    @staticmethod
    async def at_once() -> None:
        """Send each request of a proof without a delay."""

    def record_access(self, *urls: str) -> None:
        for number, url in enumerate(urls):
            self.warmer.record_access(
                AccessRecord(
                    SERVICE, f"10.0.0.{number % 250}", "GET", HOST, url, 200, time.time(), 0.001
                )
            )

    async def warm(self, seconds: float = 30.0) -> object:
        return await self.warmer.warm(SERVICE, deadline=asyncio.get_running_loop().time() + seconds)

    async def hits(self, *urls: str) -> list[str]:
        """Return the URLs that the cache serves in the silence."""
        found = []
        state = self.engine.state(SERVICE)
        await self.flip(EdgeState.SHIELDED)
        for url in urls:
            try:
                response = await self.get(url, timeout=0.5)
            except TimeoutError:
                continue
            if "cachemig; hit" in response.headers.get("cache-status", ""):
                found.append(url)
        await self.flip(state)
        return found

    async def guest_got(self, url: str, times: int) -> None:
        async with asyncio.timeout(5):
            while self.guest.count(url) < times:  # noqa: ASYNC110 - as in the rig
                await asyncio.sleep(0.01)

    async def proved(self, url: str) -> None:
        """Wait until the page of this URL is stored for users."""
        fetcher = self.warmer._states[SERVICE].fetcher
        assert fetcher is not None
        async with asyncio.timeout(5):
            while PageKey(SERVICE, HOST, url) not in fetcher.stored:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


class WarmTest(WarmCase):
    async def test_every_known_page_is_served_without_the_guest(self) -> None:
        urls = [f"/page/{i}?q={i}" for i in range(300)]
        self.record_access(*urls, *urls)  # each from two clients
        await self.flip(EdgeState.ARMED)
        began = time.monotonic()
        counts = await self.warm()
        took = time.monotonic() - began
        print(f"300 pages warmed in {took:.2f} s", file=sys.stderr)
        self.assertEqual((300, 300, 0, 0), (counts.wanted, counts.fetched, counts.failed,
                                            counts.uncacheable))  # fmt: skip
        await self.flip(EdgeState.SHIELDED)
        await self.guest.stop()
        asked = random.Random(1).sample(urls, 60)
        self.assertEqual(asked, await self.hits(*asked))

    async def test_embedded_pages_are_stored(self) -> None:
        self.guest.bodies = {
            "/": b"<link rel=stylesheet href=/s.css><img src=/i.png><a href=/logout>",
            "/s.css": b"b{background:url(/deep.png)}",
        }
        self.guest.rules = {
            "/": {"Content-Type": "text/html"}, "/s.css": {"Content-Type": "text/css"},
        }  # fmt: skip
        self.record_access("/")
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual(4, counts.fetched)
        await self.flip(EdgeState.SHIELDED)
        found = await self.hits("/", "/s.css", "/i.png", "/deep.png")
        self.assertEqual(["/", "/s.css", "/i.png", "/deep.png"], found)
        self.assertEqual(0, self.guest.count("/logout"))

    async def test_linked_pages_are_stored(self) -> None:
        html = {"Content-Type": "text/html"}
        self.guest.bodies = {
            "/page/1": b"<a href=/item/1><a href=/logout><a href=/private><a href='/q?x'>",
            "/page/2": b"<a href=/item/2><a href=/forum rel=nofollow>",
            "/page/3": b"<meta name=robots content=nofollow><a href=/item/3>",
            "/item/1": b"<a href=/deep>",
        }
        self.guest.rules = dict.fromkeys(self.guest.bodies, html)
        self.guest.rules["/private"] = {"Cache-Control": "private"}
        self.record_access("/page/1", "/page/2", "/page/3")
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual((6, 5, 1), (counts.wanted, counts.fetched, counts.uncacheable))
        await self.warm()
        self.assertEqual(1, self.guest.count("/private"))
        for url in ("/logout", "/q?x", "/forum", "/item/3", "/deep"):
            self.assertEqual(0, self.guest.count(url), url)
        await self.flip(EdgeState.SHIELDED)
        await self.guest.stop()
        found = await self.hits("/page/1", "/page/2", "/item/1", "/item/2")
        self.assertEqual(["/page/1", "/page/2", "/item/1", "/item/2"], found)

    async def test_uncacheable_pages_are_counted_and_left_out(self) -> None:
        self.guest.rules = {
            "/private": {"Cache-Control": "private"}, "/cookie": {"Set-Cookie": "a=b"},
        }  # fmt: skip
        self.guest.statuses = {"/gone": 404, "/broken": 500}
        self.record_access("/ok", "/private", "/cookie", "/gone", "/broken")
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual((5, 1, 2, 2), (counts.wanted, counts.fetched, counts.failed,
                                        counts.uncacheable))  # fmt: skip
        left = {page.url for page in self.warmer.pages(SERVICE, 99)}
        self.assertEqual({"/ok", "/broken"}, left)

    async def test_without_a_handover(self) -> None:
        self.record_access(*(f"/{i}" for i in range(50)))
        counts = await self.warm()
        self.assertEqual((50, 0, 50), (counts.wanted, counts.fetched, counts.failed))
        self.assertEqual([], self.guest.seen)
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual(50, counts.fetched)


class KeepingCase(WarmCase):
    async def start_keeping(self) -> None:
        task = asyncio.create_task(self.warmer.keep_warm(SERVICE))

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.addAsyncCleanup(end)


class KeepWarmTest(KeepingCase):
    warm_options = {"keep_interval": 0.2}

    async def test_changed_page_is_the_new_one(self) -> None:
        self.record_access("/a")
        await self.flip(EdgeState.ARMED)
        await self.warm()
        await self.start_keeping()
        await self.invalidate(HOST, ["/a"])
        self.guest.bodies["/a"] = b"new"
        self.warmer.invalidated(SERVICE, "/a")
        await self.guest_got("/a", 6)
        await self.proved("/a")
        await self.flip(EdgeState.SHIELDED)
        response = await self.get("/a", timeout=1.0)
        self.assertEqual(b"new", response.body)
        self.assertIn("hit", response.headers["cache-status"])

    async def test_a_linked_page_is_kept_warm(self) -> None:
        self.guest.bodies["/a"] = b"<a href=/linked>"
        self.guest.rules = {
            "/a": {"Content-Type": "text/html"},
            "/linked": {"Cache-Control": "max-age=4, must-revalidate"},
        }
        self.record_access("/a")
        await self.flip(EdgeState.ARMED)
        await self.warm()
        await self.start_keeping()
        for _ in range(9):  # longer than its lifetime
            self.assertEqual(["/linked"], await self.hits("/linked"))
            await asyncio.sleep(0.6)  # a silence ends a proof: leave time for the next
        await self.invalidate(HOST, ["/linked"])
        self.guest.bodies["/linked"] = b"new"
        before = self.guest.count("/linked")
        self.warmer.invalidated(SERVICE, "/linked")
        await self.guest_got("/linked", before + 3)
        await self.proved("/linked")
        await self.flip(EdgeState.SHIELDED)
        response = await self.get("/linked", timeout=1.0)
        self.assertEqual(b"new", response.body)
        self.assertIn("hit", response.headers["cache-status"])

    async def test_a_page_that_must_be_revalidated_is_always_stored(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "max-age=4, must-revalidate"}
        self.record_access("/a")
        await self.flip(EdgeState.ARMED)
        await self.warm()
        await self.start_keeping()
        for _ in range(12):  # longer than its lifetime
            self.assertEqual(["/a"], await self.hits("/a"))
            await asyncio.sleep(0.6)  # a silence ends a proof: leave time for the next
        self.assertGreaterEqual(self.guest.count("/a"), 3 * 3)
        self.assertLessEqual(self.guest.count("/a"), 8 * 3)

    async def test_an_error_at_the_refresh_keeps_the_page(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "max-age=600, must-revalidate"}
        self.record_access("/a")
        await self.flip(EdgeState.ARMED)
        await self.warm()
        self.guest.statuses["/a"] = 503
        state = self.warmer._states[SERVICE]
        page = self.warmer.pages(SERVICE, 1)[0]
        await state.fetcher.fetch(page, self.at_once, lambda response: None)
        self.assertEqual(3 + 1, self.guest.count("/a"))
        self.assertEqual(["/a"], await self.hits("/a"))


class WrittenTest(KeepingCase):
    warm_options = {"keep_interval": 60.0}

    async def test_a_page_that_is_written_during_its_proof_is_proved_again(self) -> None:
        self.record_access("/a")
        await self.flip(EdgeState.ARMED)
        await self.warm()
        await self.start_keeping()
        await self.invalidate(HOST, ["/a"])
        self.guest.bodies["/a"] = b"new"
        self.guest.delays["/a"] = 0.2
        self.warmer.invalidated(SERVICE, "/a")
        await self.guest_got("/a", 4)  # the new page was fetched, and its proof goes on
        self.guest.bodies["/a"] = b"newer"
        await asyncio.sleep(0.1)
        await self.invalidate(HOST, ["/a"])
        self.warmer.invalidated(SERVICE, "/a")
        self.guest.delays.clear()
        await self.proved("/a")
        await self.flip(EdgeState.SHIELDED)
        response = await self.get("/a", timeout=1.0)
        self.assertEqual(b"newer", response.body)
        self.assertIn("hit", response.headers["cache-status"])


class SlowGuestTest(WarmCase):
    async def test_users_do_not_suffer(self) -> None:
        """A guest that handles one request at a time: the warming must not fill its queue."""
        one = asyncio.Lock()
        response = self.guest._respond

        async def slowly(request):
            async with one:
                await asyncio.sleep(0.01)
            return await response(request)

        self.guest._handler = slowly
        alone = await self.users(40)
        self.record_access(*(f"/{i}" for i in range(200)))
        for seconds in alone:
            self.warmer.record_access(
                AccessRecord(SERVICE, "u", "GET", HOST, "/u", 200, time.time(), seconds)
            )
        await self.flip(EdgeState.ARMED)
        task = asyncio.create_task(self.warm())
        during = await self.users(40, learn=True)
        counts = await task
        self.assertEqual(0, counts.failed)
        typical, before = sorted(during)[20], sorted(alone)[20]
        print(f"users' median: {1000 * before:.0f} ms alone, {1000 * typical:.0f} ms while "
              f"warming; {counts}", file=sys.stderr)  # fmt: skip
        self.assertLess(typical, 3 * before)

    async def users(self, number: int, learn: bool = False) -> list[float]:
        times = []
        for i in range(number):
            response = await self.get(f"/user?{random.random()}")
            times.append(response.seconds)
            if learn:
                self.warmer.record_access(
                    AccessRecord(SERVICE, "u", "GET", HOST, f"/u{i}", 200, time.time(), times[-1])
                )
            await asyncio.sleep(0.02)
        return times
