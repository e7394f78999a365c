"""Blocks of prose, and how plain text falls into paragraphs and sentences."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterator

CODE = "¤"  # replaces inline code, which no rule reads

_LITERAL = re.compile(r"``.+?``|`[^`\n]+`(?:__?)?|:\w+:`[^`]+`", re.DOTALL)
_BULLET = re.compile(r"(?:[-*+•]|#\.|\d+[.)])\s+")
_RULE_LINE = re.compile(r"\W*$|>>> |\.\. ")
_END = re.compile(r"(?<=[.!?])[\"')\]*]*\s+(?=[\"'(\[*]*[A-Z0-9¤])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|cf|vs|etc|al|No|approx)|\b[A-Z])\.$")


class Kind(enum.StrEnum):
    """Where a block comes from; a rule may apply to some kinds only."""

    DOC = "doc"
    DOCSTRING = "docstring"
    COMMENT = "comment"
    MESSAGE = "message"  # help texts, log messages, errors
    NAME = "name"  # the name of a class, function or module
    COMMIT = "commit"


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """One paragraph; its first line in the file counts from 1."""

    kind: Kind
    line: int
    text: str

    def line_at(self, position: int) -> int:
        """Return the line in the file of a position in the text."""
        return self.line + self.text.count("\n", 0, position)


def without_code(text: str) -> str:
    """Replace inline code by a placeholder; line breaks stay, so that lines still count."""
    return _LITERAL.sub(lambda found: CODE + "\n" * found[0].count("\n"), text)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence with its position in the text."""
    begin = 0
    for end in _END.finditer(text):
        if _ABBREVIATION.search(text, begin, end.start()):
            continue
        yield begin, text[begin : end.start()]
        begin = end.end()
    if text[begin:].strip():
        yield begin, text[begin:]


def words(sentence: str) -> int:
    """Count the words; inline code counts as one."""
    return len(re.findall(rf"[^\W_][\w'.-]*|{CODE}", sentence))


def paragraphs(kind: Kind, lines: list[tuple[int, str]]) -> Iterator[Block]:
    """Divide numbered lines at blank lines, list items and changes of indentation.

    Literal blocks (after ``::``), tables' rules and doctests are left out.
    """
    found: list[tuple[int, str]] = []
    indent = 0
    literal: int | None = None
    for number, line in lines:
        body = line.strip()
        here = len(line) - len(line.lstrip())
        if literal is not None and body and here <= literal:
            literal = None
        bullet = _BULLET.match(body)
        starts = not body or bullet is not None or (found and here != indent)
        if starts and found:
            literal = _literal_after(found, literal, indent)
            yield _block(kind, found)
            found = []
        if not body or (literal is not None and here > literal) or _RULE_LINE.match(body):
            continue
        if bullet:
            body = body[bullet.end() :]
            here += bullet.end()
        indent = here
        found.append((number, body))
    if found:
        yield _block(kind, found)


def _literal_after(found: list[tuple[int, str]], literal: int | None, indent: int) -> int | None:
    return indent if found[-1][1].endswith("::") else literal


def _block(kind: Kind, found: list[tuple[int, str]]) -> Block:
    return Block(kind, found[0][0], without_code("\n".join(text for _, text in found)))
