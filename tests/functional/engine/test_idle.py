"""Idle connections to a guest that closes them while it is silent."""

from __future__ import annotations

import asyncio
import socket

from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine import blackout
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import exchange, until

CLIENTS = 20

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class IdleConnections(EngineCase):
    def listening(self) -> socket.socket:
        self.namespace = blackout.Namespace()
        self.addCleanup(self.namespace.delete)
        self.namespace.create()
        return self.namespace.listen()

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.guest.keep_alive = 0.5
        self.clients: list[Streams] = []
        for _ in range(CLIENTS):
            self.clients.append(await asyncio.open_connection(*self.edge))
            self.addCleanup(self.clients[-1][1].close)

    async def ask(self, url: str, method: str = "GET") -> list[int | str]:
        """Return what each client gets on its connection: a status, or the name of an error."""

        async def one(client: Streams) -> int | str:
            try:
                return (await exchange(*client, url, method)).status
            except (asyncio.IncompleteReadError, OSError) as exc:
                return type(exc).__name__

        async with asyncio.timeout(20):
            return list(await asyncio.gather(*map(one, self.clients)))

    async def silence(self) -> None:
        """The guest is silent until it has closed all its connections, then the edge knows."""
        await self.namespace.pause()
        await self.flip(EdgeState.SHIELDED)
        await until(lambda: not self.guest.open)
        await self.namespace.resume()
        await self.flip(EdgeState.REPLAY)

    async def test_reads_on_kept_connections_are_served_after_the_silence(self) -> None:
        for method in ("GET", "PUT"):
            with self.subTest(method):
                self.assertEqual([200] * CLIENTS, await self.ask("/before", method))
                await self.flip(EdgeState.ARMED)
                await self.silence()
                await self.flip(EdgeState.PASS)
                self.assertEqual([200] * CLIENTS, await self.ask("/after", method))

    async def test_reads_on_the_caches_connections_are_served_after_the_silence(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.rules["/before"] = {"Cache-Control": "no-store"}
        self.assertEqual([200] * CLIENTS, await self.ask("/before"))
        await self.silence()
        count = self.guest.connections
        self.assertEqual([200] * CLIENTS, await self.ask("/after"))
        self.assertGreater(self.guest.connections, count)

    async def test_connections_in_use_go_on(self) -> None:
        self.guest.gates["/slow"] = asyncio.Event()
        await self.flip(EdgeState.ARMED)
        slow = asyncio.create_task(self.ask("/slow", "PUT"))
        await until(lambda: self.guest.responding == 0 and self.guest.count("/slow") == CLIENTS)
        await self.flip(EdgeState.SHIELDED)
        await self.flip(EdgeState.REPLAY)
        self.guest.gates["/slow"].set()
        self.assertEqual([200] * CLIENTS, await slow)
        self.assertEqual(CLIENTS, self.guest.count("/slow"))
        found = sockdiag.connections(self.guest.address, self.guest.port)
        self.assertEqual(CLIENTS, len(found))
