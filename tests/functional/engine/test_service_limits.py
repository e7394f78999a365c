"""A storm on one service takes nothing from another: neither places nor responses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Limits
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Response, connect, exchange, fetch, until
from tests.functional.ports import free_port

STORM = 80
CLIENTS = 40
PATIENCE = 20.0


class TwoServices(EngineCase):
    """``self.edge`` belongs to the service of the storm, ``self.other`` to another one."""

    options: dict[str, object] = {"max_clients": CLIENTS}
    limits = Limits()

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.other = ("127.0.0.1", free_port())
        self.service = self.a_service("storm", limits=self.limits)
        self.calm = self.a_service("calm", listen=self.other)
        await self.engine.apply([self.route(self.service), self.route(self.calm)])
        self.guest.gates = {}

    async def kept(self, where: tuple[str, int]) -> Response | None:
        """Leave a connection open after a request; None if the edge has closed it."""
        reader, writer = await connect(where)
        self.addCleanup(writer.close)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE):
                return await exchange(reader, writer, "/kept", "GET", None, b"")
        return None

    def begin(self, work: Coroutine[Any, Any, Response]) -> asyncio.Task[Response]:
        task = asyncio.create_task(work)
        self.addCleanup(task.cancel)
        return task

    async def calm_responses(self, number: int = 20) -> list[Response]:
        """Ask the other service, and expect its guest's responses."""
        found = [await fetch(self.other, "/calm", timeout=PATIENCE) for _ in range(number)]
        self.assertEqual({200}, {response.status for response in found})
        return found

    async def stormed(self, number: int, path: str = "/slow") -> list[asyncio.Task[Response]]:
        return [self.begin(self.get(path, timeout=PATIENCE)) for _ in range(number)]


class Defaults(TwoServices):
    async def test_all_places_but_the_reserved_ones(self) -> None:
        found = Counter[int | None]()
        for _ in range(STORM):
            response = await self.kept(self.edge)
            found[response.status if response else None] += 1
        self.assertEqual((CLIENTS, True), (found[200], found[503] > 0))
        await self.calm_responses()
        kept = [await self.kept(self.other) for _ in range(CLIENTS // 4 - 1)]
        self.assertEqual({200}, {one.status if one else None for one in kept})

    async def test_one_service_has_all_places_until_the_node_is_full(self) -> None:
        kept = [await self.kept(self.edge) for _ in range(CLIENTS)]
        self.assertEqual({200}, {one.status if one else None for one in kept})

    async def test_services_that_share_an_address_share_its_connections(self) -> None:
        one = self.a_service("one", hosts=("one.example",))
        two = self.a_service("two", hosts=("two.example",))
        await self.engine.apply([self.route(one), self.route(two), self.route(self.calm)])

        async def ask(host: str) -> tuple[int, str]:
            reader, writer = await connect(self.edge)
            self.addCleanup(writer.close)
            headers = {"Host": host}
            response = await exchange(reader, writer, "/kept", "GET", headers, b"")
            return response.status, response.headers.get("connection", "")

        first = await ask("one.example")
        self.assertEqual((200, ""), first)
        for _ in range(2 * CLIENTS):
            self.assertEqual(200, (await ask("one.example"))[0])
        self.assertEqual((200, "close"), await ask("two.example"))


class Connections(TwoServices):
    limits = Limits(connections=5)

    async def test_further_clients_get_a_response_that_names_the_limit(self) -> None:
        kept = [await self.kept(self.edge) for _ in range(5)]
        self.assertEqual({200}, {one.status if one else None for one in kept})
        response = await self.get("/more")
        self.assertEqual((503, "5"), (response.status, response.headers["retry-after"]))
        self.assertEqual(b"Too many connections: the limit is 5.\n", response.body)
        self.assertEqual(0, self.guest.count("/more"))
        await self.calm_responses()


class Requests(TwoServices):
    limits = Limits(requests=5)

    async def test_further_requests_get_a_response_that_names_the_limit(self) -> None:
        self.guest.gates["/slow"] = asyncio.Event()
        for state in (EdgeState.PASS, EdgeState.ARMED):
            with self.subTest(state):
                await self.flip(state)
                before = self.guest.count("/slow")
                tasks = await self.stormed(5)
                await until(lambda before=before: self.guest.count("/slow") == before + 5)
                response = await self.get("/more")
                self.assertEqual((503, "5"), (response.status, response.headers["retry-after"]))
                self.assertIn(b"the limit of the service is 5.", response.body)
                await self.calm_responses()
                self.guest.gates["/slow"].set()
                self.assertEqual({200}, {one.status for one in await asyncio.gather(*tasks)})
                self.assertEqual(200, (await self.get("/after")).status)
                self.guest.gates["/slow"] = asyncio.Event()
        self.assertEqual(0, self.guest.count("/more"))


class HeldRequests(TwoServices):
    limits = Limits(held=6)

    async def test_further_requests_are_not_held(self) -> None:
        """Some are held at the edge, others behind the cache."""
        await self.flip(EdgeState.SHIELDED)
        tasks = [
            self.begin(self.get(f"/{number}", method=method, timeout=PATIENCE))
            for number, method in enumerate(("GET", "OPTIONS") * 3)
        ]
        await self.holding(6)
        for method in ("GET", "OPTIONS"):
            response = await self.get("/more", method=method)
            self.assertEqual((503, "5"), (response.status, response.headers["retry-after"]))
            self.assertIn(b"the limit of the service is 6.", response.body)
        await self.calm_responses()
        await self.flip(EdgeState.PASS)
        self.assertEqual({200}, {one.status for one in await asyncio.gather(*tasks)})
        self.assertEqual(0, self.guest.count("/more"))

    async def test_clients_that_half_close_are_counted(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        with contextlib.ExitStack() as stack:
            for number in range(6):
                sock = stack.enter_context(socket.create_connection(self.edge))
                sock.sendall(f"OPTIONS /{number} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
                sock.shutdown(socket.SHUT_WR)
            await self.holding(6)
            self.assertEqual(503, (await self.get("/more", method="OPTIONS")).status)
            sock = stack.enter_context(socket.create_connection(self.edge))
            sock.sendall(b"OPTIONS /more HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            response = await asyncio.to_thread(sock.recv, 64)
            self.assertIn(b" 503 ", response)


class Rate(TwoServices):
    limits = Limits(rate=20)

    async def test_what_is_above_the_rate_gets_429(self) -> None:
        tasks = await self.stormed(35, "/fast")
        await self.calm_responses()
        found = await asyncio.gather(*tasks)
        self.assertEqual({200, 429}, {response.status for response in found})
        refused = [response for response in found if response.status == 429]
        self.assertEqual({"1"}, {response.headers["retry-after"] for response in refused})
        self.assertIn(b"the limit of the service is 20 per second.", refused[0].body)
        self.assertEqual(35 - len(refused), self.guest.count("/fast"))
        async with asyncio.timeout(PATIENCE):
            while (await self.get("/later")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
