"""Checks what the text refers to: options, files and commands of this project must exist."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

from nova_cachemig.conf import opts
from tools.prose.rules import Finding

_LITERAL = re.compile(r"``(.+?)``|`([^`\n]+)`", re.DOTALL)
_OPTION = re.compile(r"\[(\w+)\]\s+(\w+)")
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*/[\w.-]+\.(?:py|sh|rst|yml|lua|j2|toml)(?!\w)")
_FOLDERS = ("tools/", "tests/", "benchmarks/", "nova_cachemig/", "devstack/", "etc/")
_COMMAND = re.compile(
    r"(?:``|`|\$ |^ {4,})nova-cachemig-manage ([a-z]+)(?: ([a-z]+))?", re.MULTILINE
)
_ENTRY_POINTS = "nova_cachemig.manage"


class References:
    """The options, files and commands that exist in the tree under ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._options: dict[str, set[str]] = {}
        for group, options in [*opts.list_agent_opts(), *opts.list_nova_opts()]:
            self._options.setdefault(str(group), set()).update(option.dest for option in options)
        setup = configparser.ConfigParser()
        setup.read(root / "setup.cfg")
        lines = setup["entry_points"][_ENTRY_POINTS].split("\n")
        self._commands = {line.partition("=")[0].strip() for line in lines if line.strip()}

    def check(self, path: Path) -> Iterator[Finding]:
        """Yield each reference in the file that leads nowhere."""
        text = (self._root / path).read_text(errors="replace")
        for literal in _LITERAL.finditer(text):
            content = literal[1] or literal[2]
            for missing in (*self._no_options(content), *self._no_files(path, content)):
                yield _finding(path, text, literal.start(), missing)
        for command in _COMMAND.finditer(text):
            if not self._is_command(command[1], command[2]):
                yield _finding(path, text, command.start(), command[0].strip(" `$"))

    def _no_options(self, content: str) -> Iterator[str]:
        for group, option in _OPTION.findall(content):
            if option not in self._options.get(group, {option}):
                yield f"[{group}] {option}"

    def _is_command(self, noun: str, verb: str | None) -> bool:
        if verb is None:
            return any(name.split("_")[0] == noun for name in self._commands)
        return not {noun, f"{noun}_{verb}"}.isdisjoint(self._commands)

    def _no_files(self, path: Path, content: str) -> Iterator[str]:
        first = content.split(maxsplit=1)[0] if content.split() else ""
        named = _FILE.fullmatch(first) or (first.startswith(_FOLDERS) and first.isascii())
        if named and "*" not in first and "…" not in first:
            places = ("", "nova_cachemig", "doc/source", path.parent)
            if not any((self._root / place / first).exists() for place in places):
                yield first


def _finding(path: Path, text: str, position: int, missing: str) -> Finding:
    line = text.count("\n", 0, position) + 1
    return Finding(str(path), line, "reference", missing, "does not exist in this tree")
