from __future__ import annotations

import unittest

from tests.unit.tools.prose.repository import repository
from tests.unit.tools.prose.test_rules import DATA
from tools.prose.check import acronyms_of, blocks, check
from tools.prose.rules import Rules


class CheckTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = repository(self)
        (self.root / "a.rst").write_text("Do it at once.\n")
        (self.root / "b.rst").write_text("Do it at once.\n")

    def found(self, *exceptions: dict[str, str]) -> list[str]:
        rules = Rules(DATA | {"exceptions": list(exceptions)})
        return [f"{f.path} {f.rule}" for f in check(self.root, rules, ["*.rst"])]

    def test_new_files_count(self) -> None:
        self.assertEqual(["a.rst phrase", "b.rst phrase"], self.found())

    def test_an_exception_is_for_one_file(self) -> None:
        exception = {"path": "a.rst", "text": "at once", "reason": "a quotation"}
        self.assertEqual(["b.rst phrase"], self.found(exception))

    def test_an_exception_that_excuses_nothing_is_found(self) -> None:
        exception = {"path": "a.rst", "text": "nowhere", "reason": "a quotation"}
        self.assertIn("tools/prose/rules.yml exception", self.found(exception))

    def test_files_are_read_as_what_they_are(self) -> None:
        for name, text in (
            ("x.py", '"""Words."""\n'),
            ("y.sh", "# Words.\n"),
            ("z", "#!/usr/bin/env python3\n# Words.\n"),
            ("u", "#!/bin/sh\n# Words.\n"),
            ("v.cfg.j2", "# Words.\n"),
            ("w.lua", "-- Words.\n"),
            ("t.md", "Words.\n"),
        ):
            with self.subTest(name):
                (self.root / name).write_text(text)
                self.assertIn("Words.", [block.text for block in blocks(self.root / name)])
        (self.root / "none.json").write_text('"Words."')
        self.assertEqual([], list(blocks(self.root / "none.json")))

    def test_acronyms_of_the_glossary(self) -> None:
        glossary = self.root / "glossary.rst"
        glossary.write_text(".. glossary::\n\n   EWMA\n       Average.\n\n   drain\n       End.\n")
        self.assertEqual({"EWMA"}, acronyms_of(glossary))
        self.assertEqual(frozenset(), acronyms_of(self.root / "none.rst"))
