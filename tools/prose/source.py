"""Reads source code: docstrings, comments, messages and the names of definitions."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

from pygments import lexers
from pygments.token import Comment

from tools.prose.text import CODE, Block, Kind, paragraphs, without_code

_MESSAGE_KEYWORDS = {"help", "description", "epilog", "title"}
_LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
_FOR_TOOLS = re.compile(
    r"\s*(?:noqa|type:|pragma|shellcheck|vim:|fmt:|mypy:|ruff:|nosec|SPDX|-\*-|coding)"
)
_PREFIX = re.compile(r"^(?:#+!?|--+|//+|/\*+|\*(?!/))")
_SUFFIX = re.compile(r"(?:\*/|#+|-{2,}|-?%?-?\})\s*$")

Comments = Iterable[tuple[int, int, str]]  # line, column, text with its mark
_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_python(source: str) -> Iterator[Block]:
    """Yield docstrings, messages, names and comments of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _Documented):
            yield from _docstring(node)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield Block(Kind.NAME, node.lineno, node.name)
        yield from _messages(node)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from _comments((*t.start, t.string) for t in tokens if t.type == tokenize.COMMENT)


def _docstring(node: _Documented) -> Iterator[Block]:
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return
    first, *rest = text.split("\n")
    indent = min((len(x) - len(x.lstrip()) for x in rest if x.strip()), default=0)
    lines = [first.strip(), *(x[indent:] for x in rest)]
    yield from paragraphs(Kind.DOCSTRING, list(enumerate(lines, node.body[0].lineno)))


def _messages(node: ast.AST) -> Iterator[Block]:
    found: list[ast.expr] = []
    if isinstance(node, ast.Call):
        found += [k.value for k in node.keywords if k.arg in _MESSAGE_KEYWORDS]
        if isinstance(node.func, ast.Attribute) and node.func.attr in _LOGGING:
            found += node.args[:1]
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        found += node.exc.args[:1]
    for value in found:
        text = _constant(value)
        if text and " " in text:
            yield Block(Kind.MESSAGE, value.lineno, without_code(text))


def _constant(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return re.sub(r"%(?:\(\w+\))?[-.\d]*[a-zA-Z]", CODE, text)
        case ast.JoinedStr(values=values):
            return "".join(_constant(value) for value in values)
        case ast.FormattedValue():
            return CODE
        case ast.BinOp(left=left, right=right):
            return _constant(left) + _constant(right)
        case _:
            return ""


def read_comments(source: str, lexer: str) -> Iterator[Block]:
    """Yield the comments of a file in a language that pygments knows by this name."""
    found = []
    line, last = 1, 0
    for index, token, text in lexers.get_lexer_by_name(lexer).get_tokens_unprocessed(source):
        if token in Comment and token not in Comment.Preproc:
            line += source.count("\n", last, index)
            last = index
            column = index - (source.rfind("\n", 0, index) + 1)
            found += [
                (line + n, column, part) for n, part in enumerate(text.rstrip("\n").split("\n"))
            ]
    yield from _comments(found)


def _comments(found: Comments) -> Iterator[Block]:
    run: list[tuple[int, str]] = []
    place = (-1, -1)
    for line, column, raw in found:
        stripped = raw.strip()
        text = _SUFFIX.sub("", _PREFIX.sub("", stripped)).rstrip()
        if stripped.startswith("#!") or _FOR_TOOLS.match(text):
            continue
        if (line, column) != (place[0] + 1, place[1]):
            yield from paragraphs(Kind.COMMENT, run)
            run = []
        run.append((line, text.removeprefix(" ")))
        place = (line, column)
    yield from paragraphs(Kind.COMMENT, run)
