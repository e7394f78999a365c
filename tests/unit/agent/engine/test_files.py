"""Files are replaced as a whole, and only by a valid text."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine import files
from nova_cachemig.agent.ports import ComponentError


class Install(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    async def test_valid_text_is_swapped_in(self) -> None:
        path = self.folder / "f"

        async def good(draft: Path) -> tuple[int, str]:
            self.assertTrue(files.has_content(draft, "new"))
            return 0, ""

        self.assertTrue(await files.install(path, "new", good))
        self.assertEqual("new", path.read_text())
        self.assertFalse(await files.install(path, "new", good))

    async def test_an_invalid_text_is_kept_beside_the_file(self) -> None:
        path = self.folder / "f"
        path.write_text("old")

        async def bad(draft: Path) -> tuple[int, str]:
            return 1, "[NOTICE] x\n[ALERT] line 3: no such thing\n"

        with self.assertRaisesRegex(ComponentError, "line 3: no such thing"):
            await files.install(path, "new", bad)
        self.assertEqual("old", path.read_text())
        self.assertEqual("new", (self.folder / "f.failed").read_text())

    async def test_without_a_named_error_the_first_lines_are_reported(self) -> None:
        async def bad(draft: Path) -> tuple[int, str]:
            return 1, "one\n\ntwo\nthree\nfour\n"

        with self.assertRaisesRegex(ComponentError, "failed: one / two / three$"):
            await files.install(self.folder / "f", "new", bad)

    def test_write_replaces_the_file_and_leaves_no_draft(self) -> None:
        path = self.folder / "f"
        self.assertFalse(files.has_content(path, ""))
        for text in ("old", "new"):
            files.write(path, text)
            self.assertTrue(files.has_content(path, text))
        self.assertEqual([path], list(self.folder.iterdir()))
