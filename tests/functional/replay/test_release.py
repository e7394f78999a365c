"""The release of a service while requests arrive, and decisions after it."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from unittest import mock

from nova_cachemig.agent import writes as writes_module
from nova_cachemig.agent.journal import quarantine
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Route, Service, Target, WriteMode
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, reached, service

HEAD = (
    b"POST /late HTTP/1.1\r\nHost: shop.example\r\nX-Cachemig-Service: shop\r\n"
    b"X-Cachemig-Client: c\r\nContent-Length: 4\r\n\r\n"
)
PATIENCE = 0.3


class ReleaseTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        self.target: Target | None = Target("127.0.0.1", self.guest.port)
        self.service = service(writes=WriteMode.ACCEPT)

    async def started(self) -> Writes:
        writes = Writes(conf_for(self.directory), route_of=self.route_of)
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        return writes

    def route_of(self, name: str) -> Route | None:
        found: Service | None = self.service if name == "shop" else None
        return None if found is None else Route(found, self.target)

    async def opened(self) -> Writes:
        writes = await self.started()
        await writes.open(self.service)
        assert self.target is not None, "only one test begins without it"
        await writes.send_to("shop", self.target)
        return writes

    async def arriving(
        self, writes: Writes, head: bytes = HEAD
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The intake has the head of a write and a part of its body."""
        reader, writer = await asyncio.open_unix_connection(writes.intake_socket)
        self.addCleanup(writer.close)
        writer.write(head + b"he")
        async with asyncio.timeout(5):
            while not writes._intakes["shop"].replay.arriving:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return reader, writer

    async def test_a_release_waits_for_a_request_that_arrives(self) -> None:
        writes = await self.opened()
        _, writer = await self.arriving(writes)
        sealing = asyncio.create_task(writes.seal("shop", 20.0))
        await asyncio.sleep(0.1)
        self.assertFalse(sealing.done())
        writer.write(b"re")
        async with asyncio.timeout(5):
            await sealing
        await writes.close("shop")
        self.assertEqual([b"here"], self.guest.bodies())

    async def test_a_release_does_not_wait_for_a_request_that_was_dropped(self) -> None:
        for reset in (False, True):
            with self.subTest(reset=reset):
                writes = await self.opened()
                _, writer = await self.arriving(writes)
                if reset:
                    writer.transport.abort()
                else:
                    writer.write_eof()
                async with asyncio.timeout(5):
                    await writes.seal("shop", 20.0)
                await writes.close("shop")
                await writes.stop()
        self.assertEqual([], self.guest.bodies())

    async def test_a_late_write_gets_the_guests_response_and_no_202(self) -> None:
        """Its client's next write passes by the journal, and must not overtake this one."""
        writes = await self.opened()
        reader, writer = await self.arriving(writes)
        await writes.seal("shop", PATIENCE)
        await writes.close("shop")
        self.guest.gate.clear()
        writer.write(b"re")
        await reached(writes, "in_flight", 1)
        await asyncio.sleep(0.05)
        self.guest.gate.set()
        async with asyncio.timeout(5):
            line = await reader.readline()
        self.assertEqual(b"HTTP/1.1 200 OK\r\n", line)
        self.assertEqual([b"here"], self.guest.bodies())
        await writes.open(self.service)  # the next migration
        async with client(writes.intake_socket) as http:
            self.assertEqual(202, (await http.post("/b", content=b"x")).status_code)

    async def test_a_late_write_is_not_sent_again_by_the_next_agent(self) -> None:
        """A write that went to the guest directly may be newer."""
        self.enterContext(mock.patch.object(writes_module, "_STOP_TIMEOUT", 0.1))
        for late in (False, True):
            with self.subTest(late=late):
                writes = await self.opened()
                _, writer = await self.arriving(writes, HEAD.replace(b"POST", b"PUT"))
                if late:
                    await writes.seal("shop", PATIENCE)
                self.guest.gate.clear()
                writer.write(b"re")
                await reached(writes, "in_flight", 1)
                await writes.stop()  # without the guest's response
                writes = await self.started()
                expected = ({}, 1) if late else ({"shop": 1}, 0)
                in_doubt = (await writes.journal.queue_state("shop")).in_doubt
                self.assertEqual(expected, (await writes.unfinished(), in_doubt))
                self.guest.gate.set()
                await writes.open(self.service)
                await writes.send_to("shop", self.target)
                await writes.drained("shop")
                await writes.stop()

    async def test_a_failed_release_lets_clients_get_a_202_again(self) -> None:
        writes = await self.opened()
        await writes.seal("shop", 0.0)
        await writes.unseal("shop")
        async with client(writes.intake_socket) as http:
            self.assertEqual(202, (await http.post("/b", content=b"x")).status_code)

    async def in_doubt(self) -> str:
        """Leave a write in doubt in the journal. Returns its name."""
        writes = await self.opened()
        self.guest.drop_after_apply = 1
        async with client(writes.intake_socket) as http:
            self.assertEqual(202, (await http.post("/a", content=b"again")).status_code)
        await reached(writes, "in_doubt", 1)
        await writes.seal("shop", 0.0)
        await writes.close("shop")
        await writes.stop()
        return "shop/1"

    async def test_a_decision_to_send_again_needs_no_handover(self) -> None:
        name = await self.in_doubt()
        writes = await self.started()
        quarantine.resend(writes.journal.engine, name, "not in the list", "operator")
        async with asyncio.timeout(10):
            await self.guest.took(2)
            await reached(writes, "responded", 1)
        self.assertEqual([b"again", b"again"], self.guest.bodies())

    async def test_a_decision_made_while_no_agent_ran(self) -> None:
        name = await self.in_doubt()
        writes = await self.started()
        quarantine.resend(writes.journal.engine, name, "not in the list", "operator")
        await writes.stop()
        await self.started()
        async with asyncio.timeout(10):
            await self.guest.took(2)

    async def test_a_decision_follows_the_guest_to_its_new_address(self) -> None:
        writes = await self.opened()
        self.guest.drop_after_apply = 1
        async with client(writes.intake_socket) as http:
            await http.post("/a", content=b"again")
        await reached(writes, "in_doubt", 1)
        await writes.seal("shop", 0.0)
        await writes.close("shop")
        other = LoggingGuest()
        await other.start()
        self.addAsyncCleanup(other.stop)
        self.target = Target("127.0.0.1", other.port)
        quarantine.resend(writes.journal.engine, "shop/1", "moved", "operator")
        async with asyncio.timeout(10):
            await other.took(1)
        self.assertEqual([b"again"], self.guest.bodies())

    async def test_a_decision_waits_while_the_address_of_the_guest_is_unknown(self) -> None:
        name = await self.in_doubt()
        known, self.target = self.target, None
        writes = await self.started()
        quarantine.resend(writes.journal.engine, name, "not in the list", "operator")
        with mock.patch.object(
            writes, "_intake_for_resend", wraps=writes._intake_for_resend
        ) as asked:
            async with asyncio.timeout(20):
                while asked.await_count < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        self.assertEqual(1, len(self.guest.bodies()))
        self.target = known
        async with asyncio.timeout(10):
            await self.guest.took(2)
