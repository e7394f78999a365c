"""The warmer with a cache on a real socket: the pages kept warm until the pause."""

import asyncio
import time

from tests.unit.agent.warm.case import SERVICE, WarmerTest, access
from tests.unit.agent.warm.fakes import Reply


class KeepWarmTest(WarmerTest):
    async def test_newly_popular(self):
        self.popular("/a")
        await self.warm()
        await self.start_keeping()
        self.popular("/new")
        await self.until(lambda: "/new" in self.cache.urls)
        self.assertEqual(1, self.cache.urls.count("/a"))

    async def test_an_invalidated_page_is_fetched_immediately(self):
        self.set(keep_interval=60.0)
        self.popular("/a", "/b")
        await self.warm()
        await self.start_keeping()
        await self.let_tasks_run()  # it finishes its first pass
        self.warmer.invalidated(SERVICE, "/b")
        await self.until(lambda: self.cache.urls.count("/b") == 2)
        self.assertEqual(1, self.cache.urls.count("/a"))
        self.assertNotIn("cache-control", self.cache.requests[-1].headers)

    async def test_changed_pages_do_not_wait_for_the_rate(self):
        self.set(keep_interval=60.0, keep_rate=1, min_rate=1)
        urls = [f"/{n}" for n in range(6)]
        self.popular(*urls)
        await self.warm()
        await self.start_keeping()
        await self.let_tasks_run()  # it finishes its first pass
        began = time.monotonic()
        for url in urls:  # the first wakes it, the others arrive meanwhile
            self.warmer.invalidated(SERVICE, url)
            await self.until(lambda url=url: self.cache.urls.count(url) == 2)
        self.assertLess(time.monotonic() - began, 2.0)

    async def test_changed_pages_go_before_those_that_wait_for_the_rate(self):
        self.set(keep_interval=0.1, keep_rate=1, min_rate=1)
        self.popular("/a")
        await self.warm()
        self.popular("/new")
        self.warmer.record_access(access("/newer"))
        self.warmer.record_access(access("/newest"))
        await self.start_keeping()
        await self.until(lambda: len(self.cache.urls) == 2)  # its proof follows in a second
        began = time.monotonic()
        self.warmer.invalidated(SERVICE, "/a")
        await self.until(lambda: self.cache.urls.count("/a") == 2)
        self.assertLess(time.monotonic() - began, 0.9)

    async def test_the_pages_of_all_hosts_are_invalidated(self):
        for host in ("x.example", "y.example"):
            self.warmer.record_access(access("/a", host=host))
        await self.warm()
        await self.start_keeping()
        self.warmer.invalidated(SERVICE, "/a")
        self.warmer.invalidated(SERVICE, "/never")
        self.warmer.invalidated("unknown", "/a")
        await self.until(lambda: len(self.cache.urls) == 4)
        self.assertEqual(2, [r.headers["host"] for r in self.cache.requests].count("x.example"))

    async def test_refreshed_before_the_end_of_the_lifetime(self):
        self.cache.respond = lambda request: Reply(
            b"x",
            headers={"Cache-Control": "max-age=1, must-revalidate" if request.url == "/short"
                     else "max-age=600"},
        )  # fmt: skip
        self.popular("/short", "/long")
        await self.warm()
        began = time.monotonic()
        await self.start_keeping()
        await self.until(lambda: self.cache.urls.count("/short") == 2)
        self.assertLess(time.monotonic() - began, 1.0)
        self.assertEqual("no-cache", self.cache.requests[-1].headers["cache-control"])
        self.assertEqual(1, self.cache.urls.count("/long"))

    async def test_a_failed_page_is_not_fetched_again_soon(self):
        self.cache.respond = lambda request: Reply(status=503, served="pass")
        self.popular("/a")
        await self.warm()
        self.cache.respond = lambda request: Reply(b"x")
        await self.start_keeping()
        self.popular("/b")
        await self.until(lambda: "/b" in self.cache.urls)
        self.assertEqual(1, self.cache.urls.count("/a"))

    async def test_without_an_earlier_warming(self):
        self.popular("/a")
        self.assertEqual([], self.cache.urls)
        await self.start_keeping()
        await self.until(lambda: self.cache.urls == ["/a"])

    async def test_ends_when_cancelled(self):
        task = await self.start_keeping()
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.popular("/a")
        self.assertEqual(1, (await self.warm()).fetched)  # the service is not locked
