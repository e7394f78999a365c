from __future__ import annotations

import unittest

from tools.prose.source import read_comments, read_python
from tools.prose.text import CODE, Kind

MODULE = '''\
"""First line.

Second paragraph
of two lines.
"""
# A comment
# of two lines.
x = 1  # beside
import y  # noqa: F401


class Lane:
    """Short."""


def go(parser):
    parser.add_argument("--n", help="how " f"many {x} there are")
    LOG.warning("cannot reach %s now", x)
    raise ValueError(f"no such thing: {x}")
'''


class PythonTest(unittest.TestCase):
    def found(self, kind: Kind) -> list[tuple[int, str]]:
        return [(b.line, b.text) for b in read_python(MODULE) if b.kind is kind]

    def test_docstrings(self) -> None:
        self.assertEqual(
            [(1, "First line."), (3, "Second paragraph\nof two lines."), (13, "Short.")],
            sorted(self.found(Kind.DOCSTRING)),
        )

    def test_comments_without_those_for_tools(self) -> None:
        self.assertEqual([(6, "A comment\nof two lines."), (8, "beside")], self.found(Kind.COMMENT))

    def test_messages(self) -> None:
        self.assertEqual(
            {f"how many {CODE} there are", f"cannot reach {CODE} now", f"no such thing: {CODE}"},
            {text for _, text in self.found(Kind.MESSAGE)},
        )

    def test_names(self) -> None:
        self.assertEqual([(12, "Lane"), (16, "go")], self.found(Kind.NAME))


class CommentsTest(unittest.TestCase):
    def test_shell(self) -> None:
        source = "#!/bin/bash\n# Two\n# lines.\necho '# none'\n# shellcheck disable=SC1\n"
        self.assertEqual(
            [(2, "Two\nlines.")], [(b.line, b.text) for b in read_comments(source, "bash")]
        )

    def test_c(self) -> None:
        source = "/* One\n * more. */\nint x; // beside\n"
        self.assertEqual(
            [(1, "One\nmore."), (3, "beside")],
            [(b.line, b.text) for b in read_comments(source, "c")],
        )
