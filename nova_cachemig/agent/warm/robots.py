"""The rules of a site for programs that follow links: its robots.txt (RFC 9309). Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

AGENT: Final = "nova-cachemig-warmer"
"""The name by which a robots.txt can address the agent; otherwise the group ``*`` applies."""

URL: Final = "/robots.txt"
_MAX_RULES: Final = 1_000
_MAX_PATTERN: Final = 500  # characters
_ESCAPES: Final = re.compile(r"%([0-9A-Fa-f]{2})")


class _Rule(NamedTuple):
    length: int  # of the pattern: the longest one that matches applies
    allows: bool
    pattern: re.Pattern[str]


class Robots:
    """The rules of one host. Without a rule that matches, a path is allowed."""

    def __init__(self, rules: Iterable[_Rule] = ()) -> None:
        """Sort the rules; of two of the same length, the one that allows comes first."""
        self._rules = sorted(rules, key=lambda rule: (rule.length, rule.allows), reverse=True)

    def allows(self, url: str) -> bool:
        """Return whether a program may request a path, with or without a query."""
        text = _normalised(url)
        for rule in self._rules:
            if rule.pattern.match(text):
                return rule.allows
        return True


ALL_ALLOWED: Final = Robots()
NONE_ALLOWED: Final = Robots([_Rule(1, False, re.compile("/"))])


def parse(text: str) -> Robots:
    """Return the rules of a robots.txt for the agent. Malformed lines are skipped."""
    groups: dict[str, list[_Rule]] = {}
    current: list[str] = []  # names of the group
    named = False  # the last line was a name: more names may follow
    for field, value in _lines(text):
        if field == "user-agent":
            current = [*current, value.lower()] if named else [value.lower()]
            for name in current:
                groups.setdefault(name, [])
        elif field in {"allow", "disallow"} and value:
            for name in current:
                groups[name].append(_rule(field == "allow", value))
        named = field == "user-agent"
    return Robots(groups.get(AGENT, groups.get("*", [])))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in itertools.islice(text.removeprefix("\ufeff").splitlines(), _MAX_RULES):
        field, colon, value = line.partition("#")[0].partition(":")
        if colon and field.strip().lower() in {"user-agent", "allow", "disallow"}:
            yield field.strip().lower(), value.strip()[:_MAX_PATTERN]


def _rule(allows: bool, value: str) -> _Rule:
    text = _normalised(value)
    end = r"\Z" if text.endswith("$") else ""
    # One or more "*" in a row match the same. Each is lazy; the text is bounded by both limits.
    parts = [re.escape(part) for part in re.split(r"\*+", text.removesuffix("$"))]
    return _Rule(len(text), allows, re.compile(_anywhere(parts) + end, re.DOTALL))


def _anywhere(parts: list[str]) -> str:
    """Join the parts so that no match is tried twice: each part is found where it first occurs."""
    first, *others = parts
    if not others:
        return first
    *middle, last = others
    # An atomic group keeps the cost of many "*" linear, but the last part may occur again.
    return first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"


def _normalised(text: str) -> str:
    """Return the text with each percent-encoded unreserved character decoded."""

    def decode(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if char.isascii() and (char.isalnum() or char in "-._~") else match[0].upper()

    return _ESCAPES.sub(decode, text)
