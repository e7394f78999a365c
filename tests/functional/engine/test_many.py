"""5,000 held requests, or as many as the limit of open files allows, released at one instant."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.engine import capacity
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Response, fetch

HELD = 5000
NUMBER = min(HELD, capacity.for_clients(0, capacity.open_file_limit()).clients)
LIMIT = 300.0  # seconds; the machine may be busy


class ManyHeld(EngineCase):
    options = {"max_clients": NUMBER, "hold_timeout": int(2 * LIMIT)}

    async def read(self, number: int) -> Response:
        """Read a page that is not in the cache, or send a request that the edge itself holds."""
        if number % 4:
            return await fetch(self.edge, f"/page/{number}", timeout=2 * LIMIT)
        return await fetch(self.edge, f"/o/{number}", method="OPTIONS", timeout=2 * LIMIT)

    async def test_all_get_their_response(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        tasks = []
        for number in range(NUMBER):
            tasks.append(asyncio.create_task(self.read(number)))
            if number % 200 == 199:
                await self.are_held(number + 1 - 150)
        await self.are_held(NUMBER)
        self.assertEqual([], self.guest.seen)
        await self.flip(EdgeState.REPLAY)
        responses = await asyncio.gather(*tasks)
        self.assertEqual({200}, {response.status for response in responses})
        self.assertEqual(NUMBER, len({request.url for request in self.guest.seen}))

    async def are_held(self, number: int) -> None:
        async with asyncio.timeout(LIMIT):
            while (await self.engine.counts(self.service.name)).holding_now < number:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
