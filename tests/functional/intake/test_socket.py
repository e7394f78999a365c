"""The intake's sockets: access, the check of the edge, unknown services."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

from nova_cachemig.agent.ports import alive_socket
from tests.functional.intake.case import HEAD, WRITES_AT_ONCE, IntakeCase
from tests.functional.replay.path import client


class SocketTest(IntakeCase):
    def mode(self, path: str) -> int:
        return stat.S_IMODE(Path(path).stat().st_mode)

    async def test_only_the_agents_user_can_connect(self) -> None:
        await self.begin()
        mode = self.mode(self.writes.intake_socket)
        self.assertEqual(0o600, mode)

    async def test_requests_whose_edge_has_left_while_the_agent_hung_are_dropped(self) -> None:
        await self.begin()
        reader, idle = await self.connect()
        idle.write(HEAD + b"Content-Length: 2\r\n\r\nok")
        self.assertEqual(200, (await self.response(reader))[0])
        # No await from here on: the loop finds requests and the ends of connections together.
        for length in (2, 2, 200_000):
            with socket.socket(socket.AF_UNIX) as edge:
                edge.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
                edge.connect(self.writes.intake_socket)
                edge.send(HEAD + f"Content-Length: {length}\r\n\r\n".encode() + b"x" * length)
        known = idle.get_extra_info("socket").dup()
        known.send(HEAD + b"Content-Length: 2\r\n\r\nno")
        known.shutdown(socket.SHUT_RDWR)
        known.close()
        reader, writer = await self.connect()
        writer.write(HEAD + b"Content-Length: 4\r\n\r\nlast")
        self.assertEqual(200, (await self.response(reader))[0])
        await asyncio.sleep(0.2)
        self.assertEqual([b"ok", b"last"], [one.body for one in self.guest.log])
        self.assertEqual([], self.spooled())

    async def test_the_check_of_the_edge(self) -> None:
        await self.begin()
        for _ in range(3):
            reader, writer = await self.connect()
            writer.write(b"GET /alive HTTP/1.1\r\nHost: agent\r\n\r\n")
            self.assertRegex(await reader.read(), b"^HTTP/1.1 204 ")
        self.assertEqual(0, self.writes._handler.refused)

    async def test_the_check_does_not_wait_behind_writes(self) -> None:
        """The edge connects for thousands of writes before the agent accepts one."""
        await self.begin()
        writes, length = [], b"Content-Length: 1\r\n\r\nx"
        for _ in range(WRITES_AT_ONCE):
            edge = socket.socket(socket.AF_UNIX)
            self.addCleanup(edge.close)
            edge.connect(self.writes.intake_socket)
            edge.send(HEAD + length)
            writes.append(edge)
        reader, writer = await asyncio.open_unix_connection(alive_socket(self.writes.intake_socket))
        self.addCleanup(writer.close)
        writer.write(b"GET /alive HTTP/1.1\r\nHost: agent\r\n\r\n")
        self.assertRegex(await reader.read(), b"^HTTP/1.1 204 ")
        accepted = (await self.writes.counts("shop")).accepted
        self.assertLess(accepted, WRITES_AT_ONCE / 2)
        async with asyncio.timeout(60):
            while (await self.writes.counts("shop")).responded < len(writes):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def test_unknown_service(self) -> None:
        await self.begin()
        async with client(self.writes.intake_socket, "another") as http:
            self.assertEqual(503, (await http.post("/x")).status_code)

    async def test_write_after_close_is_not_lost(self) -> None:
        await self.begin()
        await self.writes.close("shop")
        async with client(self.writes.intake_socket) as http:
            self.assertEqual(200, (await http.post("/x", content=b"late")).status_code)
        self.assertEqual([b"late"], self.guest.bodies())
