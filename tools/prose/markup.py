"""Reads reStructuredText, Markdown and release notes: paragraphs, headings and table cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import Directive, directives, roles
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.prose.text import CODE, Block, Kind, without_code

_PROSE = (nodes.paragraph, nodes.title, nodes.term, nodes.rubric)
_SKIPPED = ("toctree", "graphviz", "show-options", "release-notes", "automodule", "autoclass")
_READ = ("glossary", "only", "versionadded", "versionchanged", "deprecated", "seealso")
_ROLES = ("doc", "ref", "term", "option", "file", "command", "class", "func", "mod", "meth", "attr")
_QUIET = {"report_level": 5, "halt_level": 5, "file_insertion_enabled": False}


class _Skip(Directive):  # type: ignore[misc]  # docutils has no types
    """A directive of Sphinx without prose."""

    has_content = True  # without an option_spec, options count as content
    optional_arguments = 100
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Produce nothing."""
        return []


class _Read(_Skip):
    """A directive of Sphinx whose content is prose."""

    def run(self) -> list[nodes.Node]:
        """Produce the content alone."""
        found = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, found)
        return [found]


def _role(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, **_unused: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    if text.endswith(">") and " <" in text:
        return [nodes.inline(rawtext, text.rpartition(" <")[0])], []
    if name in {"term", "ref"}:
        return [nodes.inline(rawtext, text)], []
    return [nodes.literal(rawtext, text)], []


for _name in _SKIPPED:
    directives.register_directive(_name, _Skip)
for _name in _READ:
    directives.register_directive(_name, _Read)
for _name in _ROLES:
    roles.register_local_role(_name, _role)


def read_rst(source: str, first_line: int = 1) -> Iterator[Block]:
    """Yield the blocks of a page of reStructuredText."""
    tree = publish_doctree(source, settings_overrides=_QUIET)
    for node in tree.findall(lambda n: isinstance(n, _PROSE)):
        if text := _text(node):
            yield Block(Kind.DOC, first_line + _line(node) - 1, text)


def _text(node: nodes.Node) -> str:
    if isinstance(node, nodes.literal | nodes.math | nodes.image):
        return CODE
    if isinstance(node, nodes.Text):
        return str(node.astext())
    return "".join(_text(child) for child in node.children)


def _line(node: nodes.Node | None) -> int:
    while node is not None:
        if node.line is not None:
            return int(node.line)
        node = node.parent
    return 1


def read_markdown(source: str) -> Iterator[Block]:
    """Yield the blocks of a page of Markdown."""
    for token in MarkdownIt("commonmark").enable("table").parse(source):
        if token.type == "inline" and token.map is not None:
            text = "".join(_inline(child) for child in token.children or [])
            yield Block(Kind.DOC, token.map[0] + 1, text)


def _inline(token: Token) -> str:
    match token.type:
        case "code_inline" | "html_inline":
            return CODE
        case "softbreak" | "hardbreak":
            return "\n"
        case _:
            return token.content


def read_yaml(source: str) -> Iterator[Block]:
    """Yield the blocks of a release note: every string in it is reStructuredText."""
    yield from _strings(yaml.compose(source))


def _strings(node: yaml.Node | None) -> Iterator[Block]:
    match node:
        case yaml.MappingNode():
            for _key, value in node.value:
                yield from _strings(value)
        case yaml.SequenceNode():
            for value in node.value:
                yield from _strings(value)
        case yaml.ScalarNode(style="|" | ">"):
            yield from read_rst(node.value, node.start_mark.line + 2)
        case yaml.ScalarNode():
            yield Block(Kind.DOC, node.start_mark.line + 1, without_code(node.value))
