"""The driver's decisions that need no engine (``tests/functional/engine`` has the others)."""

from __future__ import annotations

import socket
import tempfile
import unittest

from nova_cachemig.agent.engine.admin import AdminError
from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.model.phase import EdgeState
from tests.unit.agent.engine.test_maps import FakeAdmin
from tests.unit.agent.engine.test_render import config
from tests.unit.agent.engine.test_routing import route


class DriverTest(unittest.IsolatedAsyncioTestCase):
    """The real :class:`EdgeMap` objects, each with a fake of HAProxy's map behind it."""

    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.engine = HaproxyVarnish(config(runtime_dir=folder.name), intake_socket="/i")
        self.admins = {name: FakeAdmin() for name in self.engine._edge.maps}
        for name, admin in self.admins.items():
            self.engine._edge.maps[name]._admin = admin

    def entry(self) -> str:
        rows = dict(self.admins["state"].rows)
        return rows.get("s", "")

    async def test_a_generation_lasts_for_one_handover(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)
        armed = self.entry()
        await self.engine.set_state("s", EdgeState.SHIELDED)
        self.assertEqual(armed.replace("armed", "shielded"), self.entry())
        await self.engine.set_state("s", EdgeState.PASS)
        self.assertEqual(("", EdgeState.PASS), (self.entry(), self.engine.state("s")))
        await self.engine.set_state("s", EdgeState.ARMED)
        self.assertNotEqual(armed, self.entry())

    async def test_a_service_that_haproxy_opened_gets_another_generation(self) -> None:
        await self.engine.set_state("s", EdgeState.SHIELDED)
        generation = self.entry().partition(":")[2]
        self.admins["state"].rows = [("s", f"open:{generation}")]
        await self.engine.set_state("s", EdgeState.SHIELDED)
        mode, _, now = self.entry().partition(":")
        self.assertEqual("shielded", mode)
        self.assertNotEqual(generation, now)

    async def test_a_state_that_haproxy_misses_is_kept_for_its_restart(self) -> None:
        self.admins["state"].failing = True
        with self.assertRaises(AdminError):
            await self.engine.set_state("s", EdgeState.SHIELDED)
        self.assertEqual(EdgeState.SHIELDED, self.engine.state("s"))
        self.assertEqual(["s"], self.engine.services_in_handover())

    async def test_the_end_of_a_handover_ends_its_holds(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)
        await self.engine.update_barrier("s", {"h": ["/x"]}, {"url:/a": True})
        self.assertEqual(2, len(self.admins["pending"].rows))
        await self.engine.set_state("s", EdgeState.PASS)
        self.assertEqual(([], []), (self.admins["pending"].rows, self.admins["epochs"].rows))

    async def test_a_refused_service_does_not_block_the_others(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)  # so that nothing is reloaded
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            taken = sock.getsockname()
            refused = await self.engine.apply(
                [
                    route("a", listen=("127.0.0.1", 0x7FFF)),
                    route("b", listen=("127.0.0.1", 0x7FFF)),
                    route("c", listen=taken),
                ]
            )
        self.assertEqual({"b", "c"}, refused.keys())
        self.assertIn("services a and b both claim", refused["b"])
        self.assertIn("cannot listen on", refused["c"])
        self.assertEqual([("127.0.0.1:32767", "a")], self.admins["routes"].rows)

    async def test_a_service_whose_change_is_refused_keeps_its_route(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFF))])
        refused = await self.engine.apply([route("a", listen=("not an address", 80))])
        self.assertEqual({"a"}, refused.keys())
        self.assertEqual([("127.0.0.1:32767", "a")], self.admins["routes"].rows)

    async def test_new_addresses_wait_for_the_end_of_a_handover(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)
        with self.assertLogs("nova_cachemig.agent.engine.driver", "WARNING"):
            await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFF))])
        self.assertEqual(set(), self.engine._edge.binds)
        self.assertTrue(self.engine._reload_needed)
        self.assertEqual([("127.0.0.1:32767", "a")], self.admins["routes"].rows)
