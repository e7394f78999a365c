"""Requests of many services that the edge holds at the same time."""

from __future__ import annotations

import asyncio
import time

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Response, fetch

ALL = 3000
"""Services of a node without handovers."""

SERVICES = 40
EACH = 20
MOST = 35_000
"""Turns of HAProxy's tasks per second. If each request looked every 16 ms, it would be 50,000."""


class ManyServices(EngineCase):
    options = {"max_clients": 1200}

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.services = [self.a_service(f"s{n}", hosts=(f"s{n}.example",)) for n in range(SERVICES)]
        await self.engine.apply([Route(one, self.guest.target) for one in self.services])

    def held(self, number: int) -> asyncio.Task[Response]:
        host = {"Host": f"s{number % SERVICES}.example"}
        return asyncio.create_task(
            fetch(self.edge, f"/{number}", method="OPTIONS", headers=host, timeout=120)
        )

    async def turns(self) -> int:
        output = await self.engine._edge.admin.run("show activity")
        line = next(one for one in output.splitlines() if one.startswith("ctxsw:"))
        return int(line.split()[1])

    async def all_flip(self, state: EdgeState) -> None:
        await asyncio.gather(*(self.engine.set_state(one.name, state) for one in self.services))

    async def test_they_leave_the_edge_time_for_the_change_of_state(self) -> None:
        await self.all_flip(EdgeState.SHIELDED)
        tasks = [self.held(number) for number in range(SERVICES * EACH)]
        async with asyncio.timeout(60):
            for service in self.services:
                while await self.engine.holding(service.name) < EACH:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # the naps grow
        began, turns = time.monotonic(), await self.turns()
        await asyncio.sleep(2)
        rate = (await self.turns() - turns) / (time.monotonic() - began)
        await self.all_flip(EdgeState.REPLAY)
        self.assertEqual({200}, {one.status for one in await asyncio.gather(*tasks)})
        self.assertLess(rate, MOST)
        print(f"{SERVICES * EACH} held requests of {SERVICES} services: {rate:.0f} turns/s")


class ManyRoutes(EngineCase):
    async def test_the_edge_reads_all_at_its_reload_and_gets_one_change_alone(self) -> None:
        front = ("127.0.0.77", self.edge[1])
        services = [
            self.a_service(f"s{n}", listen=front, hosts=(f"s{n}.example",)) for n in range(ALL)
        ]
        routes = [Route(one, self.guest.target) for one in services]
        writer, began = self.engine._edge.writer, time.monotonic()
        before = writer.exchanges
        self.assertEqual({}, await self.engine.apply(routes))
        self.assertLess(writer.exchanges - before, 3)  # the rig's own service is removed
        applied, began = time.monotonic() - began, time.monotonic()
        one = self.a_service("one", listen=front, hosts=("one.example",))
        await self.engine.apply([*routes[1:], Route(one, self.guest.target)])
        self.assertLess(writer.exchanges - before, 10)
        changed = time.monotonic() - began
        for host, status in (("s1", 200), (f"s{ALL - 1}", 200), ("one", 200), ("s0", 421)):
            response = await fetch(front, "/", headers={"Host": f"{host}.example"})
            self.assertEqual(status, response.status, host)
        print(f"{ALL} services: applied in {applied:.2f} s, one changed in {changed:.2f} s")
