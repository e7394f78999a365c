"""One question for all services."""

from __future__ import annotations

import asyncio
import socket
import unittest
from unittest import mock

from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.agent.engine.descriptors import Descriptors
from nova_cachemig.agent.engine.guests import GuestConnections
from nova_cachemig.model.service import Target


class GuestConnectionsTest(unittest.IsolatedAsyncioTestCase):
    async def descriptors(self) -> Descriptors:
        self.asked += 1
        return Descriptors.parse(1, "")

    def setUp(self) -> None:
        self.asked = 0
        self.guests = GuestConnections(self.descriptors)

    async def test_two_hundred_guests_cost_one_listing(self) -> None:
        targets = []
        for number in range(1, 201):
            server = socket.create_server((f"127.0.1.{number}", 0))
            self.addCleanup(server.close)
            client = socket.create_connection(server.getsockname())
            self.addCleanup(client.close)
            targets.append((Target(*server.getsockname()), client.getsockname()[1]))
        with mock.patch.object(sockdiag, "listing", wraps=sockdiag.listing) as listing:
            found = await asyncio.gather(*(self.guests.to(target) for target, _ in targets))
        self.assertEqual(1, listing.call_count)
        for (target, port), connections in zip(targets, found, strict=True):
            self.assertEqual([port], [one.source_port for one in connections])
            self.assertEqual(target, Target(connections[0].address, connections[0].port))

    async def test_and_one_question_to_haproxy(self) -> None:
        await asyncio.gather(*(self.guests.descriptors() for _ in range(200)))
        self.assertEqual(1, self.asked)

    async def test_a_later_question_gets_a_later_answer(self) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        target = Target(*server.getsockname())
        self.assertEqual([], await self.guests.to(target))
        client = socket.create_connection(server.getsockname())
        self.addCleanup(client.close)
        self.assertEqual(1, len(await self.guests.to(target)))
