"""WebSocket connections in every phase, with the library ``websockets`` on both sides."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import ClientConnection, connect

from nova_cachemig.model.phase import EdgeState
from tests.functional.streams.rig import REACHABLE, StreamCase

PATIENCE = 30.0


class WebSocket(StreamCase):
    kind = "websocket"

    def connect(self, path: str = "/echo") -> connect:
        address, port = self.edge
        return connect(f"ws://{address}:{port}{path}", open_timeout=PATIENCE, close_timeout=1)

    async def echoed(self, connection: ClientConnection, text: str) -> str | bytes:
        await connection.send(text)
        return await asyncio.wait_for(connection.recv(), PATIENCE)

    async def test_a_live_connection_survives_a_handover(self) -> None:
        sent: list[str] = []
        async with self.connect() as echo, self.connect("/ticks") as ticks:

            async def step(phase: str) -> None:
                for number in range(20):
                    sent.append(f"{phase} {number}")
                    await echo.send(sent[-1])

            await self.through(step)
            async with asyncio.timeout(PATIENCE):
                self.assertEqual(sent, [await echo.recv() for _ in sent])
                numbers = [int(await ticks.recv()) for _ in range(40)]
            self.assertEqual(list(range(40)), numbers)
            await echo.send("last")
            self.assertEqual("last", await asyncio.wait_for(echo.recv(), PATIENCE))
        self.assertEqual((1, 1), (self.begun("/echo"), self.begun("/ticks")))

    async def test_a_connection_that_begins_in_the_silence_is_held(self) -> None:
        await self.flip(EdgeState.ARMED)

        async def talk() -> str | bytes:
            async with self.connect() as connection:
                return await self.echoed(connection, "hello")

        async with self.silence():
            talking = asyncio.create_task(talk())
            await self.holding(1)
        self.assertEqual("hello", await asyncio.wait_for(talking, PATIENCE))
        self.assertEqual(1, self.begun("/echo"))
        await self.holding(0)

    async def test_a_connection_begins_in_every_phase(self) -> None:
        for state in REACHABLE:
            with self.subTest(state):
                await self.flip(state)
                async with self.connect() as connection:
                    self.assertEqual("x", await self.echoed(connection, "x"))
        self.assertEqual([], self.intake.seen)

    async def test_a_client_that_gives_up_in_the_silence_never_reaches_the_guest(self) -> None:
        await self.flip(EdgeState.ARMED)
        async with self.silence():
            address, port = self.edge
            waiting = asyncio.create_task(
                connect(f"ws://{address}:{port}/gone", open_timeout=0.3).__aenter__()
            )
            with self.assertRaises(TimeoutError):
                await waiting
            await self.holding(0)
        async with self.connect() as connection:
            await self.echoed(connection, "x")
        self.assertEqual((0, 1), (self.begun("/gone"), self.begun("/echo")))
