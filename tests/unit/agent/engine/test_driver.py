"""The driver's decisions that need no engine (``tests/functional/engine`` has the others)."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import unittest
from unittest import mock

from nova_cachemig.agent.engine import process, reload
from nova_cachemig.agent.engine.admin import AdminError
from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.engine.writer import MapWriter
from nova_cachemig.agent.ports import ComponentError
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
            self.engine._edge.maps[name]._writer = MapWriter(admin)

    def entry(self) -> str:
        rows = dict(self.admins["state"].rows)
        return rows.get("s", "")

    async def test_a_generation_lasts_for_one_handover(self) -> None:
        await self.engine.set_state("s", EdgeState.ARMED)
        armed = self.entry()
        await self.engine.set_state("s", EdgeState.SHIELDED)
        self.assertEqual(0, self.engine.totals.opened)
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
        self.assertEqual(1, self.engine.totals.opened)

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
        await self.engine.set_state("a", EdgeState.ARMED)  # so that nothing is reloaded
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
        await self.engine.set_state("a", EdgeState.ARMED)
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFF))])
        refused = await self.engine.apply([route("a", listen=("not an address", 80))])
        self.assertEqual({"a"}, refused.keys())
        self.assertEqual([("127.0.0.1:32767", "a")], self.admins["routes"].rows)

    async def test_new_addresses_wait_for_the_end_of_a_handover(self) -> None:
        await self.engine.set_state("a", EdgeState.ARMED)
        with self.assertLogs("nova_cachemig.agent.engine.driver", "WARNING") as logs:
            await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFF))])
        self.addAsyncCleanup(self.engine._stop_tasks)
        self.assertIn("wait for the end of a handover: a", logs.output[0])
        self.assertEqual(set(), self.engine._edge.binds)
        self.assertTrue(self.engine._reload_needed)
        self.assertEqual([("127.0.0.1:32767", "a")], self.admins["routes"].rows)

    def rebind(self) -> list[set[str]]:
        """Replace the reload; return the list of its binds."""
        found: list[set[str]] = []

        async def rebind(binds: set[str]) -> None:
            found.append(set(binds))
            self.engine._edge.binds = set(binds)

        replaced = mock.patch.object(self.engine._edge, "rebind", rebind)
        replaced.start()
        self.addCleanup(replaced.stop)
        self.addAsyncCleanup(self.engine._stop_tasks)
        for ring in self.engine._rings:
            replaced = mock.patch.object(ring, "restart", mock.AsyncMock())
            replaced.start()
            self.addCleanup(replaced.stop)
        return found

    async def test_a_reload_that_is_due_reads_many_entries_from_the_files(self) -> None:
        self.rebind()
        routes = [
            route(f"s{n}", listen=("127.0.0.1", 0x7FFF), hosts=(f"s{n}.example",))
            for n in range(400)
        ]
        await self.engine.apply(routes)
        self.assertEqual([], self.admins["routes"].rows)  # none was sent
        entries = self.engine._edge.maps["routes"].entries
        self.assertEqual("s7", entries["s7.example|127.0.0.1:32767"])
        self.assertIn("s7", self.engine._edge.maps["targets"].entries)

    async def test_a_former_address_of_a_guest_does_not_wait_for_the_reload(self) -> None:
        self.rebind()
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFE))])
        targets = self.admins["targets"]
        self.assertEqual([("a", "10.1.0.5|8080")], targets.rows)
        routes = [
            route(f"s{n}", listen=("127.0.0.1", 0x7FFF), hosts=(f"s{n}.example",))
            for n in range(400)
        ]
        seen: list[list[tuple[str, str]]] = []
        rebind = mock.AsyncMock(side_effect=lambda _binds: seen.append(list(targets.rows)))
        with mock.patch.object(self.engine._edge, "rebind", rebind):
            await self.engine.apply([route("a", None, listen=("127.0.0.1", 0x7FFE)), *routes])
        self.assertEqual([[]], seen)

    async def test_if_the_reload_fails_the_entries_are_sent(self) -> None:
        self.rebind()
        routes = [
            route(f"s{n}", listen=("127.0.0.1", 0x7FFF), hosts=(f"s{n}.example",))
            for n in range(400)
        ]
        failed = mock.AsyncMock(side_effect=ComponentError("HAProxy refused to reload"))
        with (
            mock.patch.object(self.engine._edge, "rebind", failed),
            self.assertRaisesRegex(ComponentError, "refused to reload"),
        ):
            await self.engine.apply(routes)
        self.assertEqual(1, failed.await_count)
        self.assertEqual(400, len(self.admins["targets"].rows))
        self.assertEqual(800, len(self.admins["routes"].rows))
        self.assertTrue(self.engine._reload_needed)

    async def test_a_handover_of_a_removed_service_delays_no_new_address(self) -> None:
        binds = self.rebind()
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFE))])
        await self.engine.set_state("a", EdgeState.SHIELDED)
        generation = dict(self.admins["state"].rows)["a"]
        with self.assertLogs("nova_cachemig.agent.engine.states", "WARNING") as logs:
            await self.engine.apply([route("b", listen=("127.0.0.1", 0x7FFF))])
        self.assertEqual({"127.0.0.1:32767"}, binds[-1])
        self.assertIn("clearing the cache", logs.output[0])
        entry = self.engine._edge.maps["state"].entries["a"]
        self.assertTrue(entry.startswith("shielded:"))
        self.assertNotEqual(generation, entry)

    async def test_an_endless_handover_delays_new_addresses_for_a_while(self) -> None:
        binds = self.rebind()
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFE))])
        await self.engine.set_state("a", EdgeState.SHIELDED)
        both = [route(name, listen=("127.0.0.1", port)) for name, port in
                (("a", 0x7FFE), ("b", 0x7FFF))]  # fmt: skip
        await self.engine.apply(both)
        self.assertEqual(1, len(binds))
        with mock.patch.object(reload, "PATIENCE", 0.0):
            self.engine._schedule_reload()
            await asyncio.gather(*self.engine._tasks)
        self.assertEqual({"127.0.0.1:32766", "127.0.0.1:32767"}, binds[-1])

    async def test_no_page_is_stored_while_the_old_worker_may_send_a_write(self) -> None:
        self.rebind()
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFE))])
        await self.engine.set_state("a", EdgeState.ARMED)
        before = dict(self.admins["state"].rows)["a"].partition(":")[2]
        end = asyncio.Event()
        ended = mock.patch.object(process, "ended", lambda _pid: end.wait())
        with ended, mock.patch.object(self.engine._edge, "rebind", mock.AsyncMock(return_value=7)):
            await self.engine.apply([route("b", listen=("127.0.0.1", 0x7FFF))])
            entries = self.engine._edge.maps["state"].entries
            self.assertEqual("open", entries["a"].partition(":")[0])
            generations = {before, entries["a"].partition(":")[2]}
            self.admins["state"].rows = list(entries.items())  # the new worker reads the file
            end.set()
            await asyncio.gather(*self.engine._tasks)
        mode, _, generation = dict(self.admins["state"].rows)["a"].partition(":")
        self.assertEqual("armed", mode)
        self.assertNotIn(generation, generations)

    async def test_a_state_set_after_a_reload_stays(self) -> None:
        self.rebind()
        await self.engine.apply([route("a", listen=("127.0.0.1", 0x7FFE))])
        await self.engine.set_state("a", EdgeState.ARMED)
        end = asyncio.Event()
        ended = mock.patch.object(process, "ended", lambda _pid: end.wait())
        with ended, mock.patch.object(self.engine._edge, "rebind", mock.AsyncMock(return_value=7)):
            await self.engine.apply([route("b", listen=("127.0.0.1", 0x7FFF))])
            self.admins["state"].rows = list(self.engine._edge.maps["state"].entries.items())
            await self.engine.set_state("a", EdgeState.SHIELDED)
            end.set()
            await asyncio.gather(*self.engine._tasks)
        self.assertEqual(EdgeState.SHIELDED, self.engine.state("a"))

    async def test_an_adopted_edge_is_not_reloaded_before_the_services_are_known(self) -> None:
        binds = self.rebind()
        self.engine._edge.maps["state"].start_with({"s": "shielded:1"})
        self.engine._reload_needed = True
        self.engine._schedule_reload()
        await asyncio.gather(*self.engine._tasks)
        self.assertEqual([], binds)

    async def test_no_state_changes_while_the_edge_is_reloaded(self) -> None:
        await self.engine.set_state("s", EdgeState.SHIELDED)
        for state in (EdgeState.REPLAY, EdgeState.PASS):
            before = self.entry()
            async with self.engine._reload_lock:
                change = asyncio.create_task(self.engine.set_state("s", state))
                for _ in range(10):
                    await asyncio.sleep(0)
                self.assertEqual(before, self.entry())
            await change
            self.assertNotEqual(before, self.entry())
