"""The driver's decisions that need no engine (``tests/functional/engine`` has the rest)."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine.driver import MOST_EPOCHS, HaproxyVarnish, _plan
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Service, Target
from tests.unit.agent.engine.test_maps import FakeAdmin
from tests.unit.agent.engine.test_render import config

GUEST = Target("10.1.0.5", 8080)


def route(name: str, target: Target | None = GUEST, **fields: object) -> Route:
    values = {"instance": "i", "port": 80, "listen": ("10.0.0.1", 80), **fields}
    return Route(Service(name=name, **values), target)  # type: ignore[arg-type]


class Plans(unittest.TestCase):
    def test_maps_and_binds(self) -> None:
        plan = _plan(
            [
                route("a b", hosts=("a.example",), client_cookie="sid"),
                route("c", None, hosts=("c.example",)),
                route("d", listen=("10.0.0.2", 80)),
            ]
        )
        self.assertEqual({"10.0.0.1:80", "10.0.0.2:80"}, plan.binds)
        self.assertEqual(
            {"10.0.0.1:80|a.example": "a%20b", "10.0.0.1:80|c.example": "c", "10.0.0.2:80": "d"},
            plan.routes,
        )
        self.assertEqual({"a%20b": "10.1.0.5|8080", "d": "10.1.0.5|8080"}, plan.targets)
        self.assertEqual({"a%20b": "sid"}, plan.cookies)

    def test_conflicts_name_the_services(self) -> None:
        with self.assertRaisesRegex(ComponentError, "services a and b both claim 10.0.0.1:80"):
            _plan([route("a"), route("b")])
        with self.assertRaisesRegex(ComponentError, "service a is there twice"):
            _plan([route("a"), route("a", listen=("10.0.0.2", 80))])
        with self.assertRaisesRegex(ComponentError, "service b has no host names but shares"):
            _plan([route("a", hosts=("x.example",)), route("b")])


class Flips(unittest.IsolatedAsyncioTestCase):
    """With a fake of HAProxy's maps behind the real :class:`EdgeMap`."""

    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.engine = HaproxyVarnish(config(runtime_dir=folder.name), intake_socket="/i")
        self.admins = {name: FakeAdmin() for name in self.engine._edge.maps}
        for name, admin in self.admins.items():
            self.engine._edge.maps[name] = EdgeMap(Path(folder.name) / name, admin)

    def state(self) -> str:
        rows = dict(self.admins["state"].rows)
        return rows.get("s", "")

    async def test_a_generation_lasts_for_one_handover(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)
        armed = self.state()
        await self.engine.set_state("s", EdgeState.SHIELDED)
        self.assertEqual(armed.replace("armed", "shielded"), self.state())
        await self.engine.set_state("s", EdgeState.PASS)
        self.assertEqual(("", EdgeState.PASS), (self.state(), self.engine.state("s")))
        await self.engine.set_state("s", EdgeState.ARMED)
        self.assertNotEqual(armed, self.state())

    async def test_a_service_that_haproxy_opened_begins_anew(self) -> None:
        await self.engine.set_state("s", EdgeState.SHIELDED)
        generation = self.state().partition(":")[2]
        self.admins["state"].rows = [("s", f"open:{generation}")]
        await self.engine.set_state("s", EdgeState.SHIELDED)
        mode, _, now = self.state().partition(":")
        self.assertEqual("shielded", mode)
        self.assertNotEqual(generation, now)

    async def test_the_journals_mark_is_there_while_any_key_is_pending(self) -> None:
        pending = self.admins["pending"]
        await self.engine.pending("s", "url:/a", True)
        await self.engine.pending("s", "client:1", True)
        self.assertEqual(3, len(pending.rows))
        await self.engine.pending("s", "url:/a", False)
        self.assertEqual(2, len(pending.rows))
        await self.engine.pending("s", "client:1", False)
        await self.engine.pending("s", "client:1", False)
        self.assertEqual([], pending.rows)

    async def test_one_service_s_end_leaves_the_others_keys(self) -> None:
        for name in ("s", "t"):
            await self.engine.set_state(name, EdgeState.ARMED)
            await self.engine.pending(name, "url:/a", True)
        await self.engine.invalidate("t", "h", ["/x"])
        await self.engine.set_state("s", EdgeState.PASS)
        self.assertEqual(2, len(self.admins["pending"].rows))
        self.assertEqual(1, len(self.admins["epochs"].rows))
        await self.engine.set_state("t", EdgeState.PASS)
        self.assertEqual(([], []), (self.admins["pending"].rows, self.admins["epochs"].rows))

    async def test_too_many_epochs_become_new_generations(self) -> None:
        for name in ("s", "t"):
            await self.engine.set_state(name, EdgeState.ARMED)
        before = dict(self.admins["state"].rows)
        epochs = self.engine._edge.maps["epochs"]
        epochs.entries = {str(n): "1" for n in range(MOST_EPOCHS)}
        await self.engine.invalidate("s", "h", ["/x"])
        after = dict(self.admins["state"].rows)
        self.assertEqual(before.keys(), after.keys())
        self.assertFalse(set(before.values()) & set(after.values()))
        self.assertEqual({}, epochs.entries)
