"""What a service's requests meet in each state, with real engines."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase


class States(EngineCase):
    async def test_pass_goes_straight_and_stores_nothing(self) -> None:
        first = await self.get("/a")
        second = await self.get("/a")
        self.assertEqual([200, 200], [first.status, second.status])
        self.assertNotEqual(first.body, second.body)
        self.assertNotIn("cache-status", second.headers)

    async def test_armed_answers_stale_and_refreshes_behind(self) -> None:
        await self.flip(EdgeState.ARMED)
        first = await self.get("/a")
        second = await self.get("/a")
        self.assertEqual(first.body, second.body)
        self.assertIn("cachemig; hit", second.headers["cache-status"])
        self.assertIn("age", second.headers)
        async with asyncio.timeout(5):
            while self.guest.count("/a") < 2:
                await asyncio.sleep(0.01)

    async def test_nothing_of_an_earlier_handover_is_served(self) -> None:
        await self.flip(EdgeState.ARMED)
        first = await self.get("/a")
        await self.flip(EdgeState.PASS)
        await self.flip(EdgeState.SHIELDED)
        waiting = asyncio.create_task(self.get("/a"))
        await asyncio.sleep(0.2)
        self.assertFalse(waiting.done())
        await self.flip(EdgeState.REPLAY)
        self.assertNotEqual(first.body, (await waiting).body)
