"""Maps: memory, file and HAProxy stay equal."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine.admin import Admin, AdminError
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.writer import MapWriter

KEYS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


class FakeAdmin(Admin):
    """Edits a list of rows as HAProxy edits a map, with the same output."""

    def __init__(self) -> None:
        super().__init__(Path("/none"), 1)
        self.rows: list[tuple[str, str]] = []
        self.failing = False

    async def exchange(self, *commands: str, repeat: bool = True) -> list[str]:
        if self.failing:
            raise AdminError("HAProxy does not respond")
        return [self._one(one.split(" ")) for one in commands]

    def _one(self, words: list[str]) -> str:
        key = words[3] if len(words) > 3 else ""
        known = any(k == key for k, _ in self.rows)
        match words[0]:
            case "add":
                self.rows.append((key, words[4]))
            case "set" if known:
                self.rows = [(k, words[4] if k == key else v) for k, v in self.rows]
            case "del" if known:
                self.rows = [(k, v) for k, v in self.rows if k != key]
            case "clear":
                self.rows = []
            case "get":
                value = dict(self.rows).get(key)
                return "found=no" if value is None else f'found=yes, key="{key}", value="{value}"'
            case "show":
                return "\n".join(f"0x{n:x} {k} {v}" for n, (k, v) in enumerate(self.rows))
            case _:
                return "entry not found."
        return ""


class FormerAdmin(FakeAdmin):
    """A HAProxy whose configuration does not have the map."""

    def _one(self, words: list[str]) -> str:
        return "Unknown map identifier. Please use #<id> or <file>."


class FormerHaproxy(unittest.IsolatedAsyncioTestCase):
    async def test_it_reads_the_map_after_its_reload(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.map"
            one = EdgeMap(path, MapWriter(FormerAdmin()))
            await one.load()
            self.assertTrue(one.absent)
            await one.replace({"a": "1"})
            self.assertEqual("a 1\n", path.read_text())
            with self.assertRaisesRegex(AdminError, "has no map"):
                await one.update({"b": "1"})
            one.was_read()
            self.assertFalse(one.absent)


class Edits(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "x.map"
        self.admin = FakeAdmin()
        self.map = EdgeMap(self.path, MapWriter(self.admin))

    @settings(deadline=None)
    @given(st.lists(KEYS, max_size=5))
    def test_replace_makes_memory_file_and_haproxy_equal(
        self, wanted: list[dict[str, str]]
    ) -> None:
        for entries in wanted:
            asyncio.run(self.map.replace(entries))
            self.assertEqual(sorted(entries.items()), sorted(self.admin.rows))
            self.assertEqual(entries, self.map.entries)
            lines = self.path.read_text().splitlines()
            self.assertEqual(sorted(f"{k} {v}" for k, v in entries.items()), sorted(lines))

    def test_set_remove_clear(self) -> None:
        async def steps() -> None:
            await self.map.set("a", "1")
            await self.map.set("a", "1")
            await self.map.set("a", "2")
            self.assertEqual([("a", "2")], self.admin.rows)
            await self.map.remove("a", "never")
            self.assertEqual([], self.admin.rows)
            await self.map.set("b", "1")
            await self.map.clear()
            self.assertEqual(([], {}), (self.admin.rows, self.map.entries))

        asyncio.run(steps())

    def test_a_look_finds_what_haproxy_has_changed(self) -> None:
        async def steps() -> None:
            await self.map.set("a", "1")
            self.admin.rows = [("a", "open")]
            self.assertEqual("open", await self.map.look("a"))
            self.assertIsNone(await self.map.look("b"))
            await self.map.set("a", "1")

        asyncio.run(steps())
        self.assertEqual([("a", "1")], self.admin.rows)

    def test_a_file_that_haproxy_has_read_is_not_sent_again(self) -> None:
        async def steps() -> None:
            self.map.start_with({"a": "1"})
            self.map.save()
            self.admin.rows = [("a", "1")]
            self.map.was_read()
            await self.map.update({"a": "1", "b": "2"})
            self.map.forget()
            await self.map.set("c", "3")

        asyncio.run(steps())
        self.assertEqual([("a", "1"), ("b", "2"), ("c", "3")], self.admin.rows)

    def test_after_a_reload_that_failed_replace_sends_what_differs(self) -> None:
        async def steps() -> None:
            await self.map.replace({"a": "1", "b": "1"})
            wanted = {"a": "2", "c": "1"}
            self.assertEqual((3, 0), (self.map.edits(wanted), self.map.edits({"a": "1", "b": "1"})))
            self.map.start_with(wanted)
            await self.map.replace(wanted)

        asyncio.run(steps())
        self.assertEqual({"a": "2", "c": "1"}, dict(self.admin.rows))

    def test_load(self) -> None:
        self.admin.rows = [("a", "1"), ("b", "2")]
        asyncio.run(self.map.load())
        self.assertEqual({"a": "1", "b": "2"}, self.map.entries)

    def test_a_hostile_value_is_refused_before_a_command_is_sent(self) -> None:
        with self.assertRaises(AdminError):
            asyncio.run(self.map.set("a", "1;shutdown sessions"))
        self.assertEqual([], self.admin.rows)

    def test_an_update_after_an_error_first_corrects_haproxy(self) -> None:
        async def steps() -> None:
            await self.map.update({"a": "1", "b": "1"})
            self.admin.failing = True
            with self.assertRaises(AdminError):
                await self.map.update({"a": "2", "b": None})
            self.assertEqual({"a": "2"}, self.map.entries)
            self.admin.failing = False
            self.admin.rows.append(("c", "9"))
            await self.map.update({"d": "1"})
            await self.map._writer.idle()

        asyncio.run(steps())
        self.assertEqual([("a", "2"), ("d", "1")], self.admin.rows)
        self.assertEqual({"a": "2", "d": "1"}, self.map.entries)
