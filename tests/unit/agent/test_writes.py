"""The write path with a real journal and a real socket. ``tests/functional/replay`` has guests."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from typing import Any

from oslo_config import cfg

from nova_cachemig.agent.ports import ComponentError, WriteCounts
from nova_cachemig.agent.writes import Writes, intake_socket
from nova_cachemig.conf import agent, engine, journal
from nova_cachemig.model.service import Service

SHOP = Service("shop", "uuid", 80, ("192.0.2.1", 80))
REQUEST = (
    b"POST /cart HTTP/1.1\r\nhost: shop.example\r\nx-cachemig-service: shop\r\n"
    b"x-cachemig-client: c\r\nprefer: respond-async\r\ncontent-length: 1\r\n"
    b"connection: close\r\n\r\nx"
)


class WritesTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = folder.name

    def conf(self, **options: Any) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        agent.register(conf)
        engine.register(conf)
        journal.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_override("state_dir", self.directory, "agent")
        for name, value in options.items():
            conf.set_override(name, value, "journal")
        return conf

    async def started(self) -> Writes:
        writes = Writes(self.conf())
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        return writes

    async def send(self, writes: Writes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(writes.intake_socket)
        writer.write(REQUEST)
        response = await reader.read()
        writer.close()
        return response

    def test_the_socket_is_in_the_state_directory_or_where_the_operator_says(self) -> None:
        self.assertEqual(f"{self.directory}/intake.sock", intake_socket(self.conf()))
        self.assertEqual("/run/in.sock", intake_socket(self.conf(intake_socket="/run/in.sock")))

    async def test_a_service_that_is_not_open_is_an_error(self) -> None:
        writes = await self.started()
        for call in (
            writes.send_to("shop", None),  # type: ignore[arg-type]
            writes.hold("shop"),
            writes.drained("shop"),
            writes.close("shop"),
            writes.counts("shop"),
        ):
            with self.assertRaisesRegex(ComponentError, "shop is not open"):
                await call
        self.assertIn(b" 503 ", await self.send(writes))
        self.assertEqual(1, writes.refused)

    async def test_an_idle_service_is_drained_and_can_be_closed(self) -> None:
        writes = await self.started()
        await writes.open(SHOP)
        await writes.drained("shop")
        await writes.close("shop")
        self.assertEqual(WriteCounts(), await writes.counts("shop"))

    async def test_a_waiting_write_keeps_the_service_open(self) -> None:
        writes = await self.started()
        await writes.open(SHOP)
        self.assertIn(b" 202 ", await self.send(writes))
        with self.assertRaisesRegex(ComponentError, "1 writes wait, 0 in flight"):
            await writes.close("shop")
        counts = await writes.counts("shop")
        self.assertEqual((1, 1), (counts.accepted, counts.waiting))
        self.assertEqual((1, 1, 0), writes.queued())
        self.assertEqual((1, 0), (writes.journal.totals.accepted, writes.refused))
        self.assertEqual({"shop": 1}, await writes.unfinished())

    async def test_a_waiting_write_survives_a_restart(self) -> None:
        first = Writes(self.conf())
        await first.start()
        await first.open(SHOP)
        await self.send(first)
        await first.stop()
        writes = await self.started()
        self.assertEqual((1, {"shop": 1}), (writes.recovered.waiting, await writes.unfinished()))
        await writes.open(SHOP)
        self.assertEqual(1, (await writes.counts("shop")).waiting)

    async def test_to_open_a_service_again_restarts_its_counts_only(self) -> None:
        writes = await self.started()
        await writes.open(SHOP)
        await self.send(writes)
        await writes.open(SHOP)
        counts = await writes.counts("shop")
        self.assertEqual((0, 1), (counts.accepted, counts.waiting))
