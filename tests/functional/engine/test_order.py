"""Writes that one client has in flight together, and that the edge holds."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Response, exchange, until

NUMBER = 12


class Order(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.clients = [await asyncio.open_connection(*self.edge) for _ in range(NUMBER + 1)]
        for _, writer in self.clients:
            self.addCleanup(writer.close)

    def write(self, number: int) -> asyncio.Task[Response]:
        return asyncio.create_task(exchange(*self.clients[number], f"/w/{number}", "POST"))

    async def held(self) -> list[asyncio.Task[Response]]:
        """Send writes one after the other, each when the one before is held."""
        await self.flip(EdgeState.DRAIN)
        tasks = []
        async with asyncio.timeout(30):
            for number in range(NUMBER):
                tasks.append(self.write(number))
                while await self.engine.holding(SERVICE) <= number:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        return tasks

    def urls(self, after: EdgeState = EdgeState.PASS) -> list[str]:
        server = self.intake if after is EdgeState.REPLAY else self.guest
        return [request.url for request in server.seen]

    async def test_they_continue_in_the_order_in_which_they_came(self) -> None:
        for after in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            with self.subTest(after):
                self.guest.seen.clear()
                self.intake.seen.clear()
                tasks = await self.held()
                await self.flip(after)
                tasks.append(self.write(NUMBER))  # while earlier ones still wait for their turn
                responses = await asyncio.gather(*tasks)
                self.assertEqual({200}, {response.status for response in responses})
                self.assertEqual([f"/w/{n}" for n in range(NUMBER + 1)], self.urls(after))

    async def test_a_client_that_leaves_stops_none_of_its_writes(self) -> None:
        tasks = await self.held()
        for number in (0, 1, 5):
            tasks[number].cancel()
            self.clients[number][1].transport.abort()
        await until(lambda: all(tasks[number].done() for number in (0, 1, 5)))
        await self.flip(EdgeState.PASS)
        left = [n for n in range(NUMBER) if n not in {0, 1, 5}]
        await asyncio.gather(*(tasks[number] for number in left))
        self.assertLessEqual({f"/w/{n}" for n in left}, set(self.urls()))

    async def test_other_clients_do_not_wait_for_each_other(self) -> None:
        """A client is a source address here."""
        tasks = await self.held()
        other = asyncio.create_task(
            self.get("/other", method="POST", body=b"x", source="127.0.0.2")
        )
        async with asyncio.timeout(30):
            while await self.engine.holding(SERVICE) <= NUMBER:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await other).status)
        await asyncio.gather(*tasks)
        self.assertLess(self.urls().index("/other"), NUMBER)
