"""Maps: memory, file and edits stay equal."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine.admin import Admin, AdminError
from nova_cachemig.agent.engine.maps import EdgeMap

KEYS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6)


class FakeAdmin(Admin):
    """Does to a list of rows what HAProxy does; says what HAProxy says."""

    def __init__(self) -> None:
        super().__init__(Path("/none"), 1)
        self.rows: list[tuple[str, str]] = []

    async def ask(self, *commands: str) -> list[str]:
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
            case "show":
                return "\n".join(f"0x{n:x} {k} {v}" for n, (k, v) in enumerate(self.rows))
            case _:
                return "entry not found."
        return ""


class Edits(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "x.map"
        self.admin = FakeAdmin()
        self.map = EdgeMap(self.path, self.admin)

    @settings(deadline=None)
    @given(st.lists(KEYS, max_size=5))
    def test_become_makes_all_three_equal(self, wanted: list[dict[str, str]]) -> None:
        for entries in wanted:
            asyncio.run(self.map.become(entries))
            self.assertEqual(sorted(entries.items()), sorted(self.admin.rows))
            self.assertEqual(entries, self.map.entries)
            lines = self.path.read_text().splitlines()
            self.assertEqual(sorted(f"{k} {v}" for k, v in entries.items()), sorted(lines))

    def test_put_drop_clear(self) -> None:
        async def steps() -> None:
            await self.map.put("a", "1")
            await self.map.put("a", "1")
            await self.map.put("a", "2")
            self.assertEqual([("a", "2")], self.admin.rows)
            await self.map.drop("a", "never")
            self.assertEqual([], self.admin.rows)
            await self.map.put("b", "1")
            await self.map.clear()
            self.assertEqual(([], {}), (self.admin.rows, self.map.entries))

        asyncio.run(steps())

    def test_entries_that_haproxy_made_are_set_and_not_doubled(self) -> None:
        self.admin.rows = [("a", "old")]
        asyncio.run(self.map.put_unseen({"a": "new"}))
        asyncio.run(self.map.put_unseen({"b": "new"}))
        self.assertEqual([("a", "new"), ("b", "new")], self.admin.rows)

    def test_read(self) -> None:
        self.admin.rows = [("a", "1"), ("b", "2")]
        asyncio.run(self.map.read())
        self.assertEqual({"a": "1", "b": "2"}, self.map.entries)

    def test_hostile_values_are_refused_before_anything_is_sent(self) -> None:
        with self.assertRaises(AdminError):
            asyncio.run(self.map.put("a", "1;shutdown sessions"))
        self.assertEqual([], self.admin.rows)
