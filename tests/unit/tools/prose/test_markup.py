from __future__ import annotations

import unittest

from tools.prose.markup import read_markdown, read_rst, read_yaml
from tools.prose.text import CODE

PAGE = """\
=====
Title
=====

A paragraph with ``code``, :doc:`a page <index>` and :term:`drain`
on two lines.

.. code-block:: ini

   [not] = prose

.. graphviz:: phases.dot

.. glossary::

   drain
       Admit nothing more.

====  =====
a     b
====  =====
cell  other
====  =====
"""

NOTE = """\
---
prelude: >
    Short and
    plain.
features:
  - |
    The agent warms
    a cache.
"""


class RstTest(unittest.TestCase):
    def test_prose_is_read_and_code_is_not(self) -> None:
        found = [block.text for block in read_rst(PAGE)]
        self.assertIn(f"A paragraph with {CODE}, a page and drain\non two lines.", found)
        self.assertIn("Admit nothing more.", found)
        self.assertIn("cell", found)
        self.assertFalse([text for text in found if "prose" in text or "dot" in text])

    def test_lines_are_those_of_the_file(self) -> None:
        lines = {block.text: block.line for block in read_rst(PAGE)}
        self.assertEqual(17, lines["Admit nothing more."])
        self.assertEqual(5, next(line for text, line in lines.items() if "paragraph" in text))


class MarkdownTest(unittest.TestCase):
    def test_paragraphs_and_cells(self) -> None:
        source = "# Head\n\nSome `code`\nhere.\n\n    block\n\n| a | b |\n|---|---|\n| c | d |\n"
        found = [(block.line, block.text) for block in read_markdown(source)]
        self.assertIn((3, f"Some {CODE}\nhere."), found)
        self.assertIn("d", [text for _, text in found])
        self.assertNotIn("block", [text.strip() for _, text in found])


class YamlTest(unittest.TestCase):
    def test_strings_with_their_lines(self) -> None:
        found = {block.text: block.line for block in read_yaml(NOTE)}
        self.assertEqual(7, found["The agent warms\na cache."])
        self.assertIn("Short and plain.", found)
