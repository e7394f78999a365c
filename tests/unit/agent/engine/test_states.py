"""The entries of HAProxy's map of states (``test_driver`` has their order with other changes)."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.states import States
from nova_cachemig.agent.engine.totals import EdgeTotals
from nova_cachemig.agent.engine.writer import MapWriter
from nova_cachemig.model.phase import EdgeState
from tests.unit.agent.engine.test_maps import FakeAdmin
from tests.unit.agent.engine.test_render import config


class StatesTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.admin = FakeAdmin()
        self.map = EdgeMap(Path(folder, "state.map"), MapWriter(self.admin), shared=True)
        self.totals = EdgeTotals()
        self.states = States(config(runtime_dir=folder), self.map, self.totals)

    async def test_a_service_without_an_entry_passes(self) -> None:
        self.assertEqual((EdgeState.PASS, False), (self.states.state("a"), self.states.has("a")))
        await self.states.flip("a", EdgeState.ARMED)
        self.assertEqual((EdgeState.ARMED, True), (self.states.state("a"), self.states.has("a")))
        self.assertEqual(["a"], self.states.services())
        await self.states.remove("a")
        self.assertEqual(([], []), (self.states.services(), self.admin.rows))

    async def test_services_have_different_shares(self) -> None:
        for name in ("a", "b"):
            await self.states.flip(name, EdgeState.ARMED)
        found = {names.share_of(entry) for entry in self.map.entries.values()}
        self.assertEqual(2, len(found))

    async def test_a_service_that_haproxy_opened_is_counted(self) -> None:
        await self.states.flip("a", EdgeState.SHIELDED)
        before = self.map.entries["a"]
        self.admin.rows = [("a", before.replace("shielded", "open"))]
        await self.states.flip("a", EdgeState.SHIELDED)
        self.assertNotEqual(before, self.map.entries["a"])
        self.assertEqual(1, self.totals.opened)

    async def test_after_a_reload_an_armed_service_stores_nothing_at_first(self) -> None:
        self.assertEqual({}, self.states.renew_generations())
        await self.states.flip("a", EdgeState.ARMED)
        await self.states.flip("s", EdgeState.SHIELDED)
        with self.assertLogs("nova_cachemig.agent.engine.states", "WARNING"):
            armed = self.states.renew_generations()
        self.assertEqual(["a"], list(armed))
        states = [self.states.state(name) for name in "as"]
        self.assertEqual([EdgeState.PASS, EdgeState.SHIELDED], states)
        await self.states.arm_again(armed)
        self.assertEqual(EdgeState.ARMED, self.states.state("a"))

    async def test_a_service_with_a_new_state_is_not_armed_again(self) -> None:
        await self.states.flip("a", EdgeState.ARMED)
        armed = self.states.renew_generations()
        await self.states.flip("a", EdgeState.SHIELDED)
        await self.states.arm_again(armed)
        self.assertEqual(EdgeState.SHIELDED, self.states.state("a"))
