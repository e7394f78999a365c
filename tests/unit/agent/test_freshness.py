"""After a write, the engine drops the page first; then the warmer fetches it again."""

from __future__ import annotations

import unittest
from collections.abc import Mapping, Sequence

from nova_cachemig.agent.freshness import Freshness
from nova_cachemig.agent.noop import NoEngine, NoWarmer
from nova_cachemig.agent.ports import ComponentError


class LoggedEngine(NoEngine):
    def __init__(self, calls: list[object]) -> None:
        self.calls = calls
        self.error: ComponentError | None = None

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append((service, stale, pending))


class LoggedWarmer(NoWarmer):
    def __init__(self, calls: list[object]) -> None:
        self.calls = calls

    def invalidated(self, service: str, url: str) -> None:
        self.calls.append((service, url))


class FreshnessTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.calls: list[object] = []
        self.engine = LoggedEngine(self.calls)
        self.freshness = Freshness(self.engine, LoggedWarmer(self.calls))

    async def test_a_page_is_fetched_again_when_its_last_write_is_done(self) -> None:
        stale, pending = {"h": ["/a"]}, {"url:/a": False, "url:/b": True, "client:1": False}
        await self.freshness.update_barrier("shop", stale, pending)
        self.assertEqual([("shop", stale, pending), ("shop", "/a")], self.calls)

    async def test_a_page_that_the_engine_did_not_drop_is_not_fetched(self) -> None:
        self.engine.error = ComponentError("the engine is down")
        with self.assertRaises(ComponentError):
            await self.freshness.update_barrier("shop", {}, {"url:/a": False})
        self.assertEqual([], self.calls)
