"""Routes: addresses, targets, reloads and protocols."""

from __future__ import annotations

import asyncio
import struct
from unittest import mock

from nova_cachemig.agent.engine import capacity, reload
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import fetch, read_head, until
from tests.functional.ports import free_port


class Routes(EngineCase):
    async def test_a_service_on_a_known_address_needs_no_reload(self) -> None:
        first = self.a_service("one", hosts=("one.example",))
        await self.engine.apply([self.route(first)])
        worker = await self.engine._edge.worker_pid()
        await self.flip(EdgeState.PASS)
        await self.engine.set_state("one", EdgeState.ARMED)
        second = self.a_service("two", hosts=("two.example",))
        await self.engine.apply([self.route(first), self.route(second)])
        self.assertEqual(200, (await self.get("/a", headers={"Host": "two.example"})).status)
        await self.engine.apply([self.route(second)])
        self.assertEqual(421, (await self.get("/a", headers={"Host": "one.example"})).status)
        self.assertEqual(worker, await self.engine._edge.worker_pid())
        self.assertIn("two.example|", (self.root / "routes.map").read_text())

    async def test_as_many_addresses_as_the_files_allow(self) -> None:
        first = self.a_service("one", hosts=("one.example",))
        port = free_port()
        fronts = [(f"127.7.{n // 250}.{n % 250 + 1}", port) for n in range(1200)]
        many = [self.a_service(f"s{n}", listen=front) for n, front in enumerate(fronts)]
        files = capacity.open_file_limit()
        clients = (
            files - capacity.SPARE_FILES - 2 * capacity.MAX_REFUSED - 600
        ) // capacity.FILES_PER_CLIENT
        self.conf.set_override("max_clients", clients, group="engine")
        refused = await self.engine.apply([self.route(one) for one in (first, *many)])
        self.assertGreater(len(refused), 0)
        self.assertIn("raise the limit, or let services share", next(iter(refused.values())))
        served = [one for one in many if one.name not in refused]
        self.assertGreater(len(served), 590)
        for one in (served[0], served[-1]):
            self.assertEqual(200, (await fetch(one.listen, "/a")).status)
        self.assertEqual(200, (await self.get("/a", headers={"Host": "one.example"})).status)

    async def test_a_new_address_waits_for_the_end_of_the_handovers(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.stored("/a")
        where = ("127.0.0.1", free_port())
        new = self.a_service("new", listen=where)
        await self.engine.apply([self.route(self.service), self.route(new)])
        with self.assertRaises(OSError):
            await asyncio.open_connection(*where)
        self.assertIsNotNone(await self.found("/a"))
        await self.flip(EdgeState.PASS)
        await until(lambda: not (self.engine._reload_needed or self.engine._reload_lock.locked()))
        self.assertEqual(200, (await fetch(where, "/a")).status)

    async def test_no_old_page_is_stored_while_the_old_worker_has_a_write(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.delays["/w"] = 2.0
        self.guest.arrived.clear()
        write = asyncio.create_task(self.get("/w", method="POST", body=b"x"))
        await self.guest.asked()
        new = self.a_service("new", listen=("127.0.0.1", free_port()))
        with mock.patch.object(reload, "PATIENCE", 0.0):
            await self.engine.apply([self.route(self.service), self.route(new)])
        self.assertFalse(write.done())
        self.guest.delays.clear()
        await self.stored("/w")
        self.assertEqual(200, (await write).status)
        await until(lambda: self.engine.state(self.service.name) is EdgeState.ARMED, 10)
        self.assertIsNone(await self.found("/w"))
        await self.stored("/w")
        self.assertIsNotNone(await self.found("/w"))

    async def test_a_reload_loses_no_request(self) -> None:
        stop = asyncio.Event()
        statuses: list[int] = []

        async def load() -> None:
            while not stop.is_set():
                statuses.append((await self.get("/a")).status)

        running = [asyncio.create_task(load()) for _ in range(4)]
        for number in range(3):
            extra = self.a_service(f"n{number}", listen=("127.0.0.1", free_port()))
            await self.engine.apply([self.route(self.service), self.route(extra)])
        stop.set()
        await asyncio.gather(*running)
        self.assertEqual({200}, set(statuses))

    async def test_a_service_without_a_known_guest(self) -> None:
        await self.engine.apply([Route(self.service, None)])
        response = await self.get("/a")
        self.assertEqual((503, "5"), (response.status, response.headers["retry-after"]))

    async def test_a_refused_service_does_not_block_the_others(self) -> None:
        good = self.route(self.service)
        bad = [
            [good, self.route(self.a_service("x"))],  # the same address twice
            [good, good],
            [good, self.route(self.a_service("x", hosts=("a.example",)))],
            [Route(self.a_service("x"), Target("not an address", 80))],
            [Route(self.a_service("x"), Target("127.0.0.1", 0))],
            [self.route(self.a_service("x", listen=("192.0.2.7", 8080)))],
            [self.route(self.a_service("x", listen=("shop.example", 8080)))],
            [self.route(self.a_service("x", hosts=("a b",)))],
            [self.route(self.a_service("x", client_cookie="a;b"))],
            [self.route(self.a_service(""))],
        ]
        for routes in bad:
            refused = await self.engine.apply([*routes, good] if good not in routes else routes)
            self.assertEqual(1, len(refused), routes)
            self.assertEqual(200, (await self.get("/a")).status)

    async def test_any_token_may_name_the_cookie(self) -> None:
        name = "my+!#$%&'*-.^_`|~cookie"
        service = self.a_service("x", listen=("127.0.0.1", free_port()), client_cookie=name)
        refused = await self.engine.apply([self.route(self.service), self.route(service)])
        self.assertEqual({}, refused)
        await self.engine._edge.maps["cookies"].load()
        self.assertIn(name, self.engine._edge.maps["cookies"].entries.values())
        self.engine._edge.maps["cookies"].save()
        await self.engine.apply([self.route(self.service), self.route(service), self.route(
            self.a_service("y", listen=("127.0.0.1", free_port()))
        )])  # fmt: skip
        await self.engine._edge.maps["cookies"].load()  # after a reload, from the file
        self.assertIn(name, self.engine._edge.maps["cookies"].entries.values())

    async def test_upgrades_are_forwarded(self) -> None:
        self.guest.statuses["/ws"] = 101
        self.guest.rules["/ws"] = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        }
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            reader, writer = await asyncio.open_connection(*self.edge)
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            first, headers = await asyncio.wait_for(read_head(reader), 5)
            self.assertIn("101", first)
            self.assertEqual("websocket", headers["upgrade"])
            writer.close()

    async def test_an_http2_client_without_tls(self) -> None:
        reader, writer = await asyncio.open_connection(*self.edge)
        writer.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\0\0\0\0\0"
        )
        head = await asyncio.wait_for(reader.readexactly(9), 5)
        self.assertEqual(4, head[3])  # its SETTINGS
        writer.close()
