"""Reads while armed: the guest responds to each, and the store is for the silence."""

from __future__ import annotations

import asyncio
import socket

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target
from tests.functional.engine import blackout
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import connect, read_head, until
from tests.functional.replay.raw import Connection, RawGuest

MIB = 1 << 20


class Armed(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.flip(EdgeState.ARMED)

    async def test_each_read_gets_a_response_of_the_guest(self) -> None:
        self.guest.rules["/fresh"] = {"Cache-Control": "max-age=600"}
        for url in ("/fresh", "/plain"):
            bodies = [(await self.get(url)).body for _ in range(6)]
            self.assertEqual(6, len(set(bodies)), url)
            self.assertEqual(6, self.guest.count(url))

    async def test_the_silence_finds_what_was_stored(self) -> None:
        page = await self.stored("/a")
        await self.flip(EdgeState.SHIELDED)
        hit = await self.get("/a", timeout=2)
        self.assertEqual(page.body, hit.body)
        self.assertIn("cachemig; hit", hit.headers["cache-status"])

    async def test_two_clients_never_share_a_response(self) -> None:
        await self.stored("/a")
        self.guest.delays["/a"] = 0.3
        both = await asyncio.gather(*(self.get("/a") for _ in range(8)))
        self.assertEqual(8, len({one.body for one in both}))

    async def test_a_head_stays_a_head(self) -> None:
        self.guest.bodies["/file"] = bytes(4 * MIB)
        await self.stored("/file")
        for state in (EdgeState.ARMED, EdgeState.REPLAY):
            await self.flip(state)
            self.guest.seen.clear()
            head = await self.get("/file" if state is EdgeState.ARMED else "/x", method="HEAD")
            self.assertEqual(200, head.status)
            self.assertEqual(["HEAD"], [request.method for request in self.guest.seen])

    async def test_the_guest_gets_ranges_and_conditions_as_sent(self) -> None:
        fields = {"range": "bytes=5-9", "if-none-match": '"a"', "authorization": "Basic x"}
        for name, value in fields.items():
            await self.stored("/file")
            await self.get("/file", headers={name: value})
            self.assertEqual(value, self.guest.seen[-1].headers.get(name))

    async def test_an_error_leaves_the_stored_page(self) -> None:
        page = await self.stored("/a")
        self.guest.statuses["/a"] = 500
        self.assertEqual(500, (await self.get("/a")).status)
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(page.body, (await self.get("/a", timeout=2)).body)

    async def test_a_first_byte_does_not_wait_for_the_last(self) -> None:
        await self.stored("/drip")
        self.guest.bodies["/drip"] = b"12345"
        self.guest.gates["/drip"] = asyncio.Event()
        for _ in range(3):
            reader, writer = await connect(self.edge)
            self.addCleanup(writer.close)
            writer.write(b"GET /drip HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            async with asyncio.timeout(2):
                await read_head(reader)
                self.assertEqual(b"1234", await reader.readexactly(4))


class Unsized(EngineCase):
    """A guest whose responses to some paths have no length, or follow a 103."""

    options = {"cache_size": "24m"}

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        raw = RawGuest(self.respond)
        await raw.start()
        self.addAsyncCleanup(raw.stop)
        await self.engine.apply([Route(self.service, Target("127.0.0.1", raw.port))])
        self.paths: list[str] = []
        self.early = False
        await self.flip(EdgeState.ARMED)

    async def respond(self, request: Connection) -> bool:
        path = request.head.decode().split(" ")[1]
        self.paths.append(path)
        if self.early:
            await request.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        if path == "/download":
            await request.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            for _ in range(64):
                await request.send(bytes(MIB))
            return False
        await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return True

    async def test_a_download_without_a_length_is_whole_and_displaces_nothing(self) -> None:
        for number in range(20):
            await self.stored(f"/page/{number}")
        for _ in range(2):
            reader, writer = await connect(self.edge)
            writer.write(b"GET /download HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            await read_head(reader)
            size = 0
            while data := await reader.read(MIB):
                size += len(data)
            writer.close()
            self.assertGreaterEqual(size, 64 * MIB)
        await self.flip(EdgeState.SHIELDED)
        for number in range(20):
            self.assertEqual(b"ok", (await self.get(f"/page/{number}", timeout=2)).body)

    async def test_an_interim_response_passes(self) -> None:
        await self.get("/a")
        self.early = True
        for state in (EdgeState.ARMED, EdgeState.REPLAY, EdgeState.DRAIN):
            await self.flip(state)
            for _ in range(3):
                reader, writer = await connect(self.edge)
                writer.write(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
                async with asyncio.timeout(5):
                    first = (await read_head(reader))[0]
                    if " 103 " in first:
                        first = (await read_head(reader))[0]
                writer.close()
                self.assertIn(" 200 ", first, state)


class Pause(EngineCase):
    """Reads that the guest no longer got."""

    def listening(self) -> socket.socket:
        self.namespace = blackout.Namespace()
        self.addCleanup(self.namespace.delete)
        self.namespace.create()
        return self.namespace.listen()

    async def test_they_are_answered_by_the_store(self) -> None:
        await self.flip(EdgeState.ARMED)
        pages = [f"/{number}" for number in range(10)]
        for page in pages:
            await self.stored(page)
        await self.namespace.pause()
        before = len(self.guest.seen)
        reads = [asyncio.create_task(self.get(page, timeout=10)) for page in pages]
        again = [asyncio.create_task(self.get(page, timeout=10)) for page in pages]
        await asyncio.sleep(0.1)
        await self.flip(EdgeState.SHIELDED)
        responses = await asyncio.gather(*reads, *again)
        self.assertEqual({200}, {one.status for one in responses})
        self.assertLess(max(one.seconds for one in responses), 1.5)
        self.assertEqual(before, len(self.guest.seen))

    async def test_others_wait_for_the_return(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.get("/known")
        await self.namespace.pause()
        reads = [asyncio.create_task(self.get(page)) for page in ("/known", "/new")]
        await asyncio.sleep(0.1)
        await self.flip(EdgeState.SHIELDED)
        await self.holding(2)
        await self.namespace.resume()
        await self.flip(EdgeState.REPLAY)
        self.assertEqual([200, 200], [(await one).status for one in reads])
        await until(lambda: self.guest.count("/new") == 1)
