"""Files that are replaced atomically."""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

from nova_cachemig.agent.services.atomic import ServicesError, write_lines, write_text


class AtomicTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "new" / "file"

    def test_the_directory_is_created_and_the_mode_is_set(self) -> None:
        write_text(self.path, "a", mode=0o644)
        self.assertEqual("a", self.path.read_text())
        self.assertEqual(0o644, self.path.stat().st_mode & 0o777)
        write_lines(self.path, iter(["b\n", "c\n"]))
        self.assertEqual(
            ("b\nc\n", 0o640), (self.path.read_text(), self.path.stat().st_mode & 0o777)
        )

    def test_after_an_error_the_file_is_as_before(self) -> None:
        def lines() -> Iterator[str]:
            yield "half"
            raise OSError(28, "No space left on device")

        write_text(self.path, "a")
        with self.assertRaisesRegex(ServicesError, "file cannot be written: No space left"):
            write_lines(self.path, lines())
        self.assertEqual("a", self.path.read_text())
        self.assertEqual([self.path], list(self.path.parent.iterdir()))
