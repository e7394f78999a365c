"""One fetch and its records, with a cache on a real socket."""

import asyncio
import dataclasses
import itertools
import time

from nova_cachemig.agent.warm.client import CacheClient
from nova_cachemig.agent.warm.fetcher import Fetcher
from nova_cachemig.agent.warm.proof import Verdict
from nova_cachemig.agent.warm.response import FetchError, Outcome
from nova_cachemig.model.access import PageKey
from nova_cachemig.model.service import Service
from tests.unit.agent.warm.case import SERVICE, WarmerTest, access, headers_for
from tests.unit.agent.warm.fakes import Reply

HTML = {"Content-Type": "text/html"}


async def at_once():
    """Send each request of a proof without a delay."""


async def fetch(fetcher, page):
    return await fetcher.fetch(page, at_once, lambda response: None)


def page(url):
    return PageKey(SERVICE, "shop.example", url)


class FetcherTest(WarmerTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = CacheClient(self.cache.path, 4, 1000)
        self.addCleanup(self.client.close)
        self.fetcher = self.fetcher_of(follow_links=True)

    def fetcher_of(self, follow_links):
        return Fetcher(
            self.conf.warm,
            self.client,
            self.hotset,
            headers_for,
            stale_max=300.0,
            follow_links=follow_links,
        )

    def now(self):
        return time.monotonic()

    async def test_a_stored_page_is_refreshed_without_a_hit(self):
        self.assertIs(Outcome.STORED, (await fetch(self.fetcher, page("/a"))).outcome)
        self.assertIn(page("/a"), self.fetcher.stored)
        self.assertFalse(self.fetcher.needs(page("/a"), self.now()))
        await fetch(self.fetcher, page("/a"))
        first, second = (request.headers for request in self.cache.requests)
        self.assertNotIn("cache-control", first)
        self.assertEqual("no-cache", second["cache-control"])
        self.assertEqual(("shop", "gzip"), (first["x-cachemig-service"], first["accept-encoding"]))

    async def test_an_uncacheable_page_is_refused(self):
        self.hotset.record(access("/a"))
        for reply in (Reply(served="pass"), Reply(status=404), Reply(b"x" * 2000)):
            self.hotset.forget(SERVICE)
            self.hotset.record(access("/a"))
            self.cache.respond = lambda request, reply=reply: reply
            await asyncio.gather(fetch(self.fetcher, page("/a")), return_exceptions=True)
            self.assertEqual([], self.warmer.pages(SERVICE, 9), reply)
            self.assertNotIn(page("/a"), self.fetcher.stored)

    async def test_a_write_during_the_fetch_says_nothing_of_the_page(self):
        self.hotset.record(access("/a"))

        def written_meanwhile(request):
            self.fetcher.stored.invalidate("/a", self.now())
            return Reply(served="pass")

        self.cache.respond = written_meanwhile
        self.assertTrue((await fetch(self.fetcher, page("/a"))).outdated)
        self.assertNotIn(page("/a"), self.fetcher.stored)
        self.assertEqual([page("/a")], self.warmer.pages(SERVICE, 9))  # not refused

    async def test_a_page_that_changes_is_fetched_after_a_write(self):
        bodies = itertools.count()
        self.cache.respond = lambda request: Reply(b"%d" % next(bodies))
        result = await fetch(self.fetcher, page("/a"))
        self.assertIs(Verdict.CHANGING, result.verdict)
        self.assertEqual([page("/a")], self.fetcher.stored.invalidate("/a", self.now()))

    async def test_why_users_cannot_get_a_page(self):
        bodies = iter((b"1", b"2", b"3", b"4"))
        self.cache.respond = lambda request: Reply(next(bodies))
        await fetch(self.fetcher, page("/a"))
        self.assertEqual("changing", self.fetcher.verdict(page("/a")))
        self.cache.respond = lambda request: Reply(served="pass")
        await fetch(self.fetcher, page("/b"))
        self.assertEqual("forbidden", self.fetcher.verdict(page("/b")))
        self.cache.respond = lambda request: Reply(b"same")
        await fetch(self.fetcher, page("/a"))
        self.assertEqual(["", ""], [self.fetcher.verdict(page(url)) for url in ("/a", "/c")])

    async def test_a_failed_page_is_needed_again_after_a_while(self):
        for reply in (Reply(status=503, served="pass"), Reply(status=429), Reply(raw=b"x\r\n\r\n")):
            fetcher = self.fetcher_of(follow_links=True)
            self.cache.respond = lambda request, reply=reply: reply
            await asyncio.gather(fetch(fetcher, page("/a")), return_exceptions=True)
            self.assertFalse(fetcher.needs(page("/a"), self.now()), reply)
            self.assertTrue(fetcher.needs(page("/a"), self.now() + 15.1), reply)

    async def test_a_redirect_to_the_same_page_is_tried_again_later(self):
        self.hotset.record(access("/a"))
        self.cache.respond = lambda request: Reply(
            status=301, served="pass", headers={"Location": "https://shop.example/a"}
        )
        await fetch(self.fetcher, page("/a"))
        self.assertEqual(1, len(self.warmer.pages(SERVICE, 9)))
        self.assertFalse(self.fetcher.needs(page("/a"), self.now()))
        self.assertTrue(self.fetcher.needs(page("/a"), self.now() + 15.1))

    async def test_the_headers_of_a_terminator(self):
        self.warmer.set_services([Service(SERVICE, "i", 80, ("192.0.2.1", 80), ("Www.example",))])
        text = "https|www.example|443|for=192.0.2.9;proto=https;host=evil.example"
        self.warmer.record_access(dataclasses.replace(access("/a"), forwarded=text))
        self.warmer.record_access(access("/b"))
        for url in ("/a", "/b", "/new"):
            await fetch(self.fetcher, page(url))
        a, b, new = (request.headers for request in self.cache.requests)
        said = {"x-forwarded-proto": "https", "x-forwarded-host": "www.example",
                "x-forwarded-port": "443", "forwarded": "proto=https"}  # fmt: skip
        self.assertEqual(said, {name: a.get(name) for name in said})
        self.assertEqual(said, {name: new.get(name) for name in said})
        self.assertFalse(said.keys() & b.keys())

    async def test_a_refusal_of_the_engine_blames_no_page(self):
        self.cache.respond = lambda request: Reply(status=409, served="refused")
        with self.assertRaises(FetchError) as caught:
            await fetch(self.fetcher, page("/a"))
        self.assertTrue(caught.exception.unreachable)
        self.assertTrue(self.fetcher.needs(page("/a"), self.now()))

    async def test_a_failed_refresh_removes_the_page_from_the_queue(self):
        await fetch(self.fetcher, page("/a"))
        self.cache.respond = lambda request: Reply(status=500, served="pass")
        await fetch(self.fetcher, page("/a"))
        self.assertNotIn(page("/a"), self.fetcher.stored)

    async def test_the_target_of_a_redirect_is_fetched_once(self):
        for location, expected in (
            ("/b?x=1", ()), ("/b", ("/b",)), ("/b", ()), ("http://shop.example/c", ("/c",)),
            ("/a", ()), ("/logout", ()), ("https://other.example/d", ()), ("/reset?token=x1", ()),
        ):  # fmt: skip
            headers = {"Location": location}
            self.cache.respond = lambda request, headers=headers: Reply(
                status=302, served="pass", headers=headers
            )
            result = await fetch(self.fetcher, page("/a"))
            self.assertEqual(expected, tuple(found.url for found in result.embedded), location)

    async def test_embedded_pages_are_returned_and_links_of_known_pages_queued(self):
        self.cache.respond = lambda request: Reply(
            b"<img src=/i.png><img src=/known.png><a href=/next>", headers=HTML
        )
        self.hotset.record(access("/a"))
        self.hotset.record(access("/known.png", 2))
        result = await fetch(self.fetcher, page("/a"))
        self.assertEqual((page("/i.png"),), result.embedded)
        self.assertEqual([page("/next")], self.fetcher.next_links(9, self.now()))
        unknown = self.fetcher_of(follow_links=True)
        await fetch(unknown, page("/other"))
        self.assertEqual([], unknown.next_links(9, self.now()))

    async def test_links_are_not_followed_without_consent(self):
        self.cache.respond = lambda request: Reply(b"<a href=/next>", headers=HTML)
        self.hotset.record(access("/a"))
        fetcher = self.fetcher_of(follow_links=False)
        await fetch(fetcher, page("/a"))
        self.assertEqual([], fetcher.next_links(9, self.now()))
