"""A POST that asks for another protocol, as ``docker attach`` and ``docker exec`` send."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import exchange, loopback, read_head

ATTACH = "/containers/1/attach"
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


class HijackingGuest:
    """Like dockerd: after 101, the connection carries no HTTP. Repeats its input in capitals."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def start(self, sock: socket.socket) -> Target:
        self._server = await asyncio.start_server(self._serve, sock=sock)
        return Target(*sock.getsockname())

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            first, headers = await read_head(reader)
            self.heads.append(first)
            if headers.get("upgrade") != "tcp":
                writer.write(b"HTTP/1.1 400 No upgrade\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(
                    b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                    b"Content-Type: application/vnd.docker.raw-stream\r\n\r\n"
                )
                while data := await reader.read(1024):
                    writer.write(data.upper())
        writer.close()


class Upgrades(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.docker = HijackingGuest()
        target = await self.docker.start(loopback())
        self.addAsyncCleanup(self.docker.stop)
        await self.engine.apply([Route(self.service, target)])

    async def attach(self) -> bytes:
        """Attach, and return what comes back for some bytes that are not HTTP."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*self.edge)
            lines = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items())
            writer.write(f"POST {ATTACH} HTTP/1.1\r\nHost: docker\r\n{lines}\r\n".encode())
            first, headers = await read_head(reader)
            self.assertEqual("HTTP/1.1 101", first[:12])
            self.assertEqual("tcp", headers["upgrade"])
            writer.write(b"ls\n\0\xff")
            found = await reader.readexactly(5)
            writer.close()
            return found

    async def test_it_passes_while_the_guest_is_reachable(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            with self.subTest(state):
                await self.flip(state)
                self.assertEqual(b"LS\n\0\xff", await self.attach())
        self.assertEqual([], self.intake.seen)

    async def test_while_shielded_it_is_held_as_a_read_is(self) -> None:
        for after in (EdgeState.REPLAY, EdgeState.PASS):
            with self.subTest(after):
                await self.flip(EdgeState.SHIELDED)
                self.docker.heads.clear()
                waiting = asyncio.create_task(self.attach())
                await self.holding(1)
                self.assertEqual([], self.docker.heads)
                await self.flip(after)
                self.assertEqual(b"LS\n\0\xff", await waiting)
                self.assertEqual([f"POST {ATTACH} HTTP/1.1"], self.docker.heads)
        self.assertEqual([], self.intake.seen)

    async def test_it_does_not_overtake_a_write_of_its_client(self) -> None:
        await self.flip(EdgeState.REPLAY)
        await self.set_pending("client:127.0.0.1", on=True)
        waiting = asyncio.create_task(self.attach())
        await self.holding(1)
        self.assertEqual([], self.docker.heads)
        await self.set_pending("client:127.0.0.1", on=False)
        self.assertEqual(b"LS\n\0\xff", await waiting)

    async def test_a_write_that_offers_another_version_of_http_is_journalled(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        self.intake.gate.set()
        for offered in ({"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
                         "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"},
                        {"Connection": "Upgrade", "Upgrade": "TLS/1.0"},
                        {"Upgrade": "tcp"}):  # fmt: skip
            with self.subTest(offered):
                self.intake.seen.clear()
                reader, writer = await asyncio.open_connection(*self.edge)
                async with asyncio.timeout(20):
                    await exchange(reader, writer, "/w", "POST", offered, b"data")
                writer.close()
                self.assertEqual([b"data"], [request.body for request in self.intake.seen])
