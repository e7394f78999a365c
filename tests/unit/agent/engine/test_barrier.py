"""Epochs and pending keys of the services in a handover."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.engine.barrier import MAX_EXACT, BarrierMaps
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.writer import MapWriter
from nova_cachemig.model.effects import EndedWrite
from tests.unit.agent.engine.test_maps import FakeAdmin


class BarrierTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.admins = {name: FakeAdmin() for name in ("state", "pending", "epochs")}
        self.maps = {
            name: EdgeMap(Path(folder.name) / name, MapWriter(admin), shared=name != "pending")
            for name, admin in self.admins.items()
        }
        self.barrier = BarrierMaps(*self.maps.values())

    def pending(self) -> set[str]:
        return {key for key, _ in self.admins["pending"].rows}

    async def hold(self, key: str, on: bool, service: str = "s") -> None:
        await self.barrier.update(service, {}, {key: on})

    async def test_the_journal_key_is_set_while_a_key_is_pending(self) -> None:
        await self.hold("url:/a", True)
        await self.hold("client:1", True)
        a, one = names.pending_key("s", "url:/a"), names.pending_key("s", "client:1")
        self.assertEqual({a, one, names.journal_key("s")}, self.pending())
        await self.hold("url:/a", False)
        self.assertEqual({one, names.journal_key("s")}, self.pending())
        await self.hold("client:1", False)
        await self.hold("client:1", False)
        self.assertEqual(set(), self.pending())

    async def test_a_write_gives_each_of_its_pages_a_new_epoch(self) -> None:
        await self.barrier.update("s", {"h": ["/x", "/y"]}, {})
        first = dict(self.admins["epochs"].rows)
        self.assertEqual(
            {names.pending_key("s", f"url:{url}") for url in ("/x", "/y")}, first.keys()
        )
        await self.barrier.update("s", {"h": ["/x"]}, {})
        second = dict(self.admins["epochs"].rows)
        changed = {key for key in first if first[key] != second[key]}
        self.assertEqual({names.pending_key("s", "url:/x")}, changed)

    async def test_one_handovers_end_leaves_the_keys_of_another(self) -> None:
        await self.maps["state"].set("t", "armed:1")
        for name in ("s", "t"):
            await self.hold("url:/a", True, name)
        await self.barrier.update("t", {"h": ["/x"]}, {})
        await self.barrier.update("s", {"h": ["/x", "/y"]}, {})
        await self.barrier.end("s")
        self.assertEqual({names.pending_key("t", "url:/a"), names.journal_key("t")}, self.pending())
        self.assertEqual(
            [names.pending_key("t", "url:/x")], [k for k, _ in self.admins["epochs"].rows]
        )

    async def test_the_last_end_clears_also_the_entries_of_haproxy(self) -> None:
        self.admins["epochs"].rows = [("by Lua", "1")]
        await self.hold("url:/a", True)
        await self.barrier.end("s")
        self.assertEqual(([], set()), (self.admins["epochs"].rows, self.pending()))

    async def test_one_services_epochs_are_bounded_and_displace_no_others(self) -> None:
        for name in ("s", "t"):
            await self.maps["state"].set(name, "armed:1")
        await self.barrier.update("t", {"h": ["/x"]}, {})
        of_t = dict(self.admins["epochs"].rows)
        many = [f"/{number}" for number in range(names.MAX_EPOCHS + 3 * names.BUCKETS)]
        await self.barrier.update("s", {"h": many}, {})
        rows = dict(self.admins["epochs"].rows)
        self.assertLessEqual(len(rows), names.MAX_EPOCHS + names.BUCKETS + 1)
        for url in many:
            key = f"url:{url}"
            entries = {names.pending_key("s", key), names.pending_bucket("s", key)}
            self.assertTrue(entries & rows.keys(), url)
        self.assertEqual(of_t.items(), rows.items() & of_t.items())
        states = dict(self.admins["state"].rows)
        self.assertEqual({"s": "armed:1", "t": "armed:1"}, states)

    async def test_after_a_restart_exactly_the_waiting_writes_hold_reads(self) -> None:
        await self.maps["state"].set("s", "shielded:1")
        for key in ("url:/waits", "client:1", "url:/ended", "client:2"):
            await self.hold(key, True)
        again = BarrierMaps(*self.maps.values())
        ended = EndedWrite("s", "h", ("/ended", "/made"), "2")
        await again.replace({"s": {"url:/waits", "client:1"}}, [ended])
        keys = [names.pending_key("s", key) for key in ("url:/waits", "client:1")]
        self.assertEqual({*keys, names.journal_key("s")}, self.pending())
        pages = {names.pending_key("s", f"url:{url}") for url in ("/ended", "/made")}
        self.assertEqual(pages, {key for key, _ in self.admins["epochs"].rows})
        self.assertEqual([("s", "shielded:1")], self.admins["state"].rows)

    async def test_reads_of_unknown_writes_end_the_use_of_stored_pages(self) -> None:
        await self.maps["state"].set("s", "shielded:1")
        await self.hold("url:/unknown", True)
        again = BarrierMaps(*self.maps.values())
        await again.replace({}, [])
        self.assertEqual(set(), self.pending())
        self.assertRegex(self.admins["state"].rows[0][1], "^shielded:(?!1$)")

    async def test_the_end_of_a_handover_removes_the_keys_of_an_earlier_agent(self) -> None:
        for name in ("s", "t"):
            await self.maps["state"].set(name, "armed:1")
        await self.hold("url:/a", True)
        again = BarrierMaps(*self.maps.values())
        await again.replace({"s": {"url:/a"}}, [])
        await again.end("s")
        self.assertEqual(set(), self.pending())

    async def test_pages_with_a_write_in_the_journal(self) -> None:
        a, b = (names.pending_key("s", f"url:/{page}") for page in "ab")
        self.assertFalse(self.barrier.holds("s"))
        await self.hold("url:/a", True)
        self.assertTrue(self.barrier.holds("s"))
        self.assertEqual((True, False), (self.barrier.holds("s", a), self.barrier.holds("s", b)))
        many = [f"url:/{number}" for number in range(MAX_EXACT + 1)]
        await self.barrier.update("s", {}, dict.fromkeys(many, True))
        self.assertTrue(self.barrier.holds("s", names.pending_key("s", many[-1])))

    async def test_very_many_keys_share_few_entries(self) -> None:
        keys = [f"url:/{number}" for number in range(5_000)]
        await self.barrier.update("s", {}, dict.fromkeys(keys, True))
        self.assertLessEqual(len(self.pending()), MAX_EXACT + names.BUCKETS + 1)
        self.assertIn(names.pending_key("s", keys[0]), self.pending())
        self.assertIn(names.pending_bucket("s", keys[-1]), self.pending())
        again = BarrierMaps(*self.maps.values())
        await again.replace({"s": set(keys)}, [])
        self.assertLessEqual(len(self.pending()), MAX_EXACT + names.BUCKETS + 1)
        await self.barrier.update("s", {}, dict.fromkeys(keys[:-1], False))
        last = names.pending_bucket("s", keys[-1])
        self.assertIn(last, self.pending())
        await self.barrier.update("s", {}, {keys[-1]: False})
        self.assertNotIn(last, self.pending())

    async def test_all_urls_of_a_path_are_one(self) -> None:
        await self.maps["state"].set("s", "shielded:1")
        await self.barrier.update("s", {"h": ["/a?ref=1"]}, {"url:/a?ref=1": True})
        await self.barrier.update("s", {}, {"url:/a?ref=2": True, "client:?x": True})
        self.assertEqual(
            {names.pending_key("s", "url:/a")}, {k for k, _ in self.admins["epochs"].rows}
        )
        page = names.pending_key("s", "url:/a")
        await self.barrier.update("s", {}, {"url:/a?ref=1": False})
        self.assertIn(page, self.pending())
        await self.barrier.update("s", {}, {"url:/a?ref=2": False})
        self.assertEqual(
            {names.pending_key("s", "client:?x"), names.journal_key("s")}, self.pending()
        )
