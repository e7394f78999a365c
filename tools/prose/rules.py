"""Reads the rules from ``rules.yml`` and applies them to a block."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tools.prose.text import Block, Kind, sentences, words

FILE = Path(__file__).with_name("rules.yml")

_PROSE = frozenset(Kind) - {Kind.NAME, Kind.COMMIT}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_FIND = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["find", "use"],
        "additionalProperties": False,
        "properties": {
            "find": {"type": "string"},
            "use": {"type": "string"},
            "case": {"type": "boolean"},
            "only": {"type": "array", "items": {"enum": [kind.value for kind in Kind]}},
            "outside": {"type": "string"},
        },
    },
}
_EXCEPTIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["path", "text", "reason"],
        "additionalProperties": False,
        "properties": {
            key: {"type": "string", "minLength": 3} for key in ("path", "text", "reason")
        },
    },
}
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": [
        "sentence_words",
        "phrases",
        "openings",
        "names",
        "acronyms",
        "commits",
        "exceptions",
    ],
    "properties": {
        "sentence_words": {"type": "integer", "minimum": 10},
        "phrases": _FIND,
        "openings": _FIND,
        "names": {"type": "object", "additionalProperties": {"type": "string"}},
        "acronyms": _TEXTS,
        "exceptions": _EXCEPTIONS,
        "commits": {
            "type": "object",
            "additionalProperties": False,
            "required": ["after", "length", "form", "not_imperative", "exceptions"],
            "properties": {
                "after": {"type": "string"},
                "length": {"type": "integer"},
                "form": {"type": "string"},
                "not_imperative": {"type": "string"},
                "exceptions": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    },
}


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One violation: the text that was found, and a better one."""

    path: str
    line: int
    rule: str
    text: str
    use: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: “{self.text}”: {self.use}"


@dataclasses.dataclass(frozen=True, slots=True)
class Pattern:
    """One expression that may not occur in some kinds of block."""

    expression: re.Pattern[str]
    use: str
    kinds: frozenset[Kind]
    outside: str | None  # a path's beginning in which it may occur

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Pattern:
        """Make one of its entry in the file; raises re.error."""
        flags = re.NOFLAG if entry.get("case") else re.IGNORECASE
        kinds = frozenset(map(Kind, entry["only"])) if "only" in entry else _PROSE
        find = entry["find"].replace(" ", r"\s+")
        return cls(re.compile(find, flags), entry["use"], kinds, entry.get("outside"))

    def applies(self, path: str, kind: Kind) -> bool:
        """Return whether blocks of this kind in this file are subject to it."""
        return kind in self.kinds and not (self.outside and path.startswith(self.outside))


class Rules:
    """All rules; ``check`` yields what they find."""

    def __init__(self, data: dict[str, Any]) -> None:
        """Raises jsonschema.ValidationError or re.error where the data makes no sense."""
        jsonschema.validate(data, _SCHEMA)
        self.longest = data["sentence_words"]
        self.phrases = [Pattern.of(entry) for entry in data["phrases"]]
        self.openings = [Pattern.of(entry) for entry in data["openings"]]
        self.names: dict[str, str] = data["names"]
        self.acronyms = frozenset(data["acronyms"])
        self.commits: dict[str, Any] = data["commits"]
        self.exceptions: list[dict[str, str]] = data["exceptions"]

    @classmethod
    def read(cls, file: Path = FILE, known: frozenset[str] = frozenset()) -> Rules:
        """Read the file; ``known`` are further acronyms, those of the glossary."""
        rules = cls(yaml.safe_load(file.read_text()))
        rules.acronyms |= known
        return rules

    def check(self, path: str, block: Block) -> Iterator[Finding]:
        """Yield every violation of a block."""
        if block.kind is Kind.NAME:
            yield from self._name(path, block)
            return
        for pattern in self.phrases:
            if pattern.applies(path, block.kind):
                for found in pattern.expression.finditer(block.text):
                    yield _finding(path, block, "phrase", found, pattern.use)
        for position, sentence in sentences(block.text):
            yield from self._sentence(path, block, position, sentence)
        if block.kind is Kind.DOC:
            yield from self._acronyms(path, block)

    def _name(self, path: str, block: Block) -> Iterator[Finding]:
        if block.text in self.names:
            yield Finding(path, block.line, "name", block.text, f"use {self.names[block.text]}")

    def _sentence(self, path: str, block: Block, position: int, text: str) -> Iterator[Finding]:
        line = block.line_at(position)
        if (count := words(text)) > self.longest:
            use = f"{count} words; at most {self.longest}: make two sentences, or a list"
            yield Finding(path, line, "long sentence", _short(text), use)
        for pattern in self.openings:
            if pattern.applies(path, block.kind) and (found := pattern.expression.match(text)):
                yield Finding(path, line, "opening", _short(found[0]), pattern.use)

    def _acronyms(self, path: str, block: Block) -> Iterator[Finding]:
        for found in re.finditer(r"\b[A-Z][A-Z0-9]{1,6}s?\b", block.text):
            if found[0].removesuffix("s") not in self.acronyms:
                use = "spell it out, or add it to the glossary (or to acronyms in rules.yml)"
                yield _finding(path, block, "acronym", found, use)

    def subject(self, commit: str, subject: str) -> Iterator[Finding]:
        """Yield every violation of the subject of a commit."""
        if commit[:7] in self.commits["exceptions"]:
            return
        if len(subject) > self.commits["length"]:
            use = f"{len(subject)} characters; at most {self.commits['length']}"
            yield Finding(commit[:7], 1, "commit subject", subject, use)
        if not re.fullmatch(self.commits["form"], subject):
            use = "write “scope: ” and an order of at least two words, without a full stop"
            yield Finding(commit[:7], 1, "commit subject", subject, use)
        order = subject.rpartition(": ")[2]
        if re.match(self.commits["not_imperative"], order, re.IGNORECASE):
            use = "begin with a verb in the imperative, after “scope: ”"
            yield Finding(commit[:7], 1, "commit subject", subject, use)


def _finding(path: str, block: Block, rule: str, found: re.Match[str], use: str) -> Finding:
    return Finding(path, block.line_at(found.start()), rule, _short(found[0]), use)


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 60 else joined[:57] + "…"
