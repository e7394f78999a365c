"""Server-sent events in every phase: aiohttp serves them, httpx-sse reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest import mock

import httpx
from httpx_sse import EventSource

from nova_cachemig.agent.engine import render
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Tls
from tests.functional.engine.servers import until
from tests.functional.engine.test_tls import make_certificate
from tests.functional.streams.rig import REACHABLE, StreamCase

PATIENCE = 30.0
BROWSER = {"Accept": "text/event-stream"}
SCRIPT = {"Accept": "*/*"}  # fetch() says no type


class Reader:
    """Reads events until it has enough."""

    def __init__(
        self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str], method: str = "GET"
    ) -> None:
        self.seen: list[int] = []
        self._client = client
        self._url, self._headers, self._method = url, headers, method
        self._enough = 1 << 30
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        asking = self._client.stream(self._method, self._url, headers=self._headers)
        async with asking as response:
            response.raise_for_status()
            async for event in EventSource(response).aiter_sse():
                self.seen.append(int(event.data))
                if len(self.seen) >= self._enough:
                    return

    async def more(self, number: int = 5) -> None:
        """Return after some more events."""
        self._enough = len(self.seen) + number
        await asyncio.wait_for(self.task, PATIENCE)


class Events(StreamCase):
    kind = "events"
    scheme = "http"

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.client = self.a_client()
        self.addAsyncCleanup(self.client.aclose)

    def a_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=PATIENCE)

    def read(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Reader:
        address, port = self.edge
        url = f"{self.scheme}://{address}:{port}{path}"
        reader = Reader(self.client, url, headers, method)
        self.addCleanup(reader.task.cancel)
        return reader

    async def test_a_live_stream_survives_a_handover(self) -> None:
        readers = [
            self.read("/browser", BROWSER),
            self.read("/script", SCRIPT),
            self.read("/model", SCRIPT, "POST"),
        ]
        await until(lambda: all(reader.seen for reader in readers), PATIENCE)
        await self.flip(EdgeState.ARMED)
        armed = [self.read("/armed", headers) for headers in (BROWSER, SCRIPT)]
        armed.append(self.read("/armed", SCRIPT, "POST"))
        readers += armed

        async def step(phase: str) -> None:
            before = [len(reader.seen) for reader in readers]
            if phase != "silent":
                await until(
                    lambda: all(
                        len(reader.seen) > was for reader, was in zip(readers, before, strict=True)
                    ),
                    PATIENCE,
                )

        await self.through(step)
        await asyncio.gather(*(reader.more() for reader in readers))
        for reader in readers:
            self.assertEqual(list(range(len(reader.seen))), reader.seen)
        begun = [self.begun(path) for path in ("/browser", "/script", "/model", "/armed")]
        self.assertEqual([1, 1, 1, 3], begun)

    async def test_a_stream_that_begins_in_the_silence_is_held(self) -> None:
        await self.flip(EdgeState.ARMED)
        async with self.silence():
            readers = [self.read("/browser", BROWSER), self.read("/script", SCRIPT)]
            readers.append(self.read("/browser", {**BROWSER, "Last-Event-ID": "41"}))
            await self.holding(3)
        await asyncio.gather(*(reader.more() for reader in readers))
        self.assertEqual([0, 0, 42], [reader.seen[0] for reader in readers])
        for reader in readers:
            first = reader.seen[0]
            self.assertEqual(list(range(first, first + len(reader.seen))), reader.seen)
        # A script's request does not say that it asks for a stream. The cache refuses the
        # response, so the edge asks again.
        self.assertEqual((2, 2), (self.begun("/browser"), self.begun("/script")))

    async def test_a_stream_begins_in_every_phase(self) -> None:
        for state in REACHABLE:
            for headers in (BROWSER, SCRIPT):
                with self.subTest(state=state, headers=headers):
                    await self.flip(state)
                    reader = self.read("/each", headers)
                    await reader.more()
                    self.assertEqual(list(range(len(reader.seen))), reader.seen)

    async def test_the_guest_learns_that_a_client_has_left(self) -> None:
        for state in REACHABLE:
            for headers in (BROWSER, SCRIPT):
                with self.subTest(state=state, headers=headers):
                    await self.flip(state)
                    before, self.client = self.client, self.a_client()
                    await self.read("/left", headers).more(2)
                    await self.client.aclose()
                    self.client = before
        await until(lambda: self.ended("/left") >= 2 * len(REACHABLE), PATIENCE)
        await until(lambda: self.ended("/left") == self.begun("/left"), PATIENCE)
        self.assertGreaterEqual(self.begun("/left"), 2 * len(REACHABLE))

    async def test_live_streams_take_no_turn_of_a_held_read(self) -> None:
        self.enterContext(mock.patch.object(render, "MAX_TURN_WAIT", 1000 * int(PATIENCE)))
        await self.engine._edge.rebind({*self.engine._edge.binds})
        await self.flip(EdgeState.ARMED)
        live = [self.read("/live", SCRIPT) for _ in range(self.conf.engine.fetches_on_return)]
        await until(lambda: all(reader.seen for reader in live), PATIENCE)
        async with self.silence():
            late = [self.read("/late", SCRIPT) for _ in range(2)]
            await self.holding(2)
        async with asyncio.timeout(PATIENCE / 2):
            await asyncio.gather(*(reader.more(1) for reader in late))
        self.assertFalse(any(reader.task.done() for reader in live))


class EventsOverHttp2(Events):
    """TLS and HTTP/2 to the edge: all streams on one connection."""

    scheme = "https"

    def a_service(self, name: str = "events", **fields: object) -> Any:
        path = self.root / "events.pem"
        if not path.exists():
            make_certificate(path, "events.example")
        return super().a_service(name, tls=Tls((str(path),)), **fields)

    def a_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=PATIENCE, http1=False, http2=True, verify=False)
