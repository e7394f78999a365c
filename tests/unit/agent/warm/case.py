"""The base of the warmer's tests: a warmer and a cache on a real socket."""

import asyncio
import time
import unittest

from oslo_config import cfg

from nova_cachemig.agent.warm.warmer import CacheWarmer, hotset_limits
from nova_cachemig.conf import warm as warm_conf
from nova_cachemig.model.access import AccessRecord
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
            # oslo.config stores overrides in the group, which all ConfigOpts of a process share.
            self.addCleanup(self.conf.clear_override, name, "warm")

    def make(self, path=None):
        self.hotset = HotSet(hotset_limits(self.conf), seed=1)
        self.warmer = CacheWarmer(self.conf, self.hotset, path or self.cache.path, headers_for)
        self.addCleanup(self.warmer.close)

    def popular(self, *urls):
        """Record accesses, the most to the first URL."""
        for times, url in enumerate(reversed(urls), start=1):
            for n in range(times):
                self.warmer.record_access(access(url, n))

    async def warm(self, seconds=10.0):
        return await self.warmer.warm(SERVICE, deadline=asyncio.get_running_loop().time() + seconds)

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - at the other end of a socket
                await asyncio.sleep(0.005)

    @staticmethod
    async def let_tasks_run():
        for _ in range(100):
            await asyncio.sleep(0)

    async def start_keeping(self):
        task = asyncio.create_task(self.warmer.keep_warm(SERVICE))

        async def end():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.addAsyncCleanup(end)
        return task
