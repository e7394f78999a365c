"""Which connections are closed, and when the service may leave the silence.

``tests/functional/engine/test_idle.py`` closes real ones.
"""

from __future__ import annotations

import asyncio
import unittest
from typing import cast
from unittest import mock

from nova_cachemig.agent.engine import idle, sockdiag
from nova_cachemig.agent.engine.descriptors import Descriptors
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target
from tests.unit.agent.engine.test_lost import TARGET, connection


class FakeEdge:
    """Also its ``guests``."""

    def __init__(self) -> None:
        self.guests = self
        self.asked = 0
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    async def descriptors(self) -> Descriptors:
        self.asked += 1
        await self.may_respond.wait()
        ports = {4001: [21], 4003: [23]}
        return Descriptors(77, {}, {}, ports, ports, {4001: 1, 4002: 1, 4003: 1})

    async def to(self, target: Target) -> list[sockdiag.Connection]:
        return [connection(1), connection(2)] if target == TARGET else []


class IdleConnectionsTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.edge = FakeEdge()
        self.idle = idle.IdleConnections(cast(Edge, self.edge))
        self.addAsyncCleanup(self.idle.stop)
        self.cut: list[int] = []
        self.error: ComponentError | None = None
        patch = mock.patch.object(sockdiag, "destroy", self.destroy)
        patch.start()
        self.addCleanup(patch.stop)
        idle._warn_once.cache_clear()
        self.addCleanup(idle._warn_once.cache_clear)

    def destroy(self, one: sockdiag.Connection) -> bool:
        if self.error is not None:
            raise self.error
        self.cut.append(one.source_port)
        return True

    async def test_only_idle_connections_are_closed(self) -> None:
        self.idle.close("a", TARGET)
        await self.idle.closed("a", TARGET)
        self.assertEqual(([4001], 1), (self.cut, self.edge.asked))

    async def test_the_end_of_the_silence_waits(self) -> None:
        self.edge.may_respond.clear()
        self.idle.close("a", TARGET)
        end = asyncio.ensure_future(self.idle.closed("a", TARGET))
        await asyncio.sleep(0)
        self.assertFalse(end.done())
        self.edge.may_respond.set()
        await end
        self.assertEqual([4001], self.cut)

    async def test_a_silence_that_an_earlier_agent_has_seen(self) -> None:
        await self.idle.closed("a", TARGET)
        self.assertEqual([4001], self.cut)

    async def test_each_silence_closes_again(self) -> None:
        for _ in range(2):
            self.idle.close("a", TARGET)
            await self.idle.closed("a", None)
        await self.idle.closed("a", None)
        self.assertEqual([4001, 4001], self.cut)

    async def test_without_the_right_one_warning_says_what_happens(self) -> None:
        self.error = ComponentError("needs CAP_NET_ADMIN")
        with self.assertLogs(idle.LOG.logger, "WARNING") as logs:
            for _ in range(2):
                await self.idle.closed("a", TARGET)
        self.assertEqual(1, len(logs.output))
        self.assertIn("needs CAP_NET_ADMIN", logs.output[0])
