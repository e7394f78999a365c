"""Counts the reads of one service in one handover: by rule of its policy, by reason.

Pure and bounded: a client chooses URLs, and no number of them makes the counts larger than
:data:`MAX_PAGES` pages and :data:`MAX_EXAMPLES` examples of each reason.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from nova_cachemig.model.policy import Rule
from nova_cachemig.model.secret import redact

MAX_PAGES: Final = 200
"""Pages of which the service remembers how often the cache had none that was proved."""

MAX_EXAMPLES: Final = 3


class Reason(enum.StrEnum):
    """Why the cache has not responded to a read."""

    NEVER = "never"  # the policy forbids it
    UNFIT = "unfit"  # not a plain GET or HEAD: OPTIONS, a body, an upgrade, an event stream
    WRITE = "write"  # a write that waits has to be applied first
    WRITER = "writer"  # the client has written
    PRIVATE = "private"  # the request says who asks, and the client had no stored page
    HEADER = "header"  # the request has a header that no proof covers
    NOT_STORED = "not stored"  # a rule lets users share the page, but it was not fetched
    DIFFERS = "differs"  # the proved page has another language or scheme, or is too old
    UNPROVED = "unproved"  # the warmer has not proved the page
    DEPENDENT = "dependent"  # the warmer found that the page depends on who asks
    CHANGING = "changing"  # it found that the page changes with each request
    FORBIDDEN = "forbidden"  # the response forbids to share it


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """The facts that the edge logs about a request in a handover."""

    kind: str  # page, read, stream, tunnel, write
    mode: str  # the edge's state of the service at the response
    slot: str = ""  # where the cache found the page
    rule: str = ""  # static or stale
    anonymous: bool = False  # by consent
    plain: int = 0  # 2: the request has only headers that strangers have; 1: and cookies
    shared: bool = False  # nothing in the request says who asks
    wrote: bool = False  # the client has written
    never: bool = False
    after_write: bool = False  # it waited for a write
    proved: bool = False
    rules: tuple[int, ...] = ()  # numbers of the rules that made a difference


def reason(facts: Facts) -> Reason:
    """Return why the cache has not responded."""
    if facts.never:
        return Reason.NEVER
    if facts.kind != "page":
        return Reason.UNFIT
    if facts.after_write:
        return Reason.WRITE
    if facts.wrote:
        return Reason.WRITER
    if facts.rule == "static" or facts.anonymous:
        return Reason.NOT_STORED
    if not facts.shared:
        return Reason.PRIVATE
    if facts.plain != 2:
        return Reason.HEADER
    return Reason.DIFFERS if facts.proved else Reason.UNPROVED


class ReadCounts:
    """The counts of one service. ``rules``: those of its policy, in the order of their numbers."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self.hits: collections.Counter[str] = collections.Counter()
        self.held: collections.Counter[str] = collections.Counter()
        self.asked: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, list[str]] = {}
        self._by_rule: dict[int, collections.Counter[str]] = {}
        self._unproved: dict[tuple[str, str], collections.Counter[str]] = {}

    def replace_rules(self, rules: Sequence[Rule]) -> None:
        """The policy has changed: its numbers are those of other rules."""
        if tuple(rules) != self.rules:
            self.rules = tuple(rules)
            self._by_rule.clear()

    def add(self, facts: Facts, *, hit: bool, held: bool, host: str, url: str) -> None:
        """Count one read."""
        if facts.kind == "write" or (facts.mode == "armed" and not hit and not held):
            return
        way = "held" if held else "hits" if hit else "asked"
        for number in facts.rules:
            if 0 < number <= len(self.rules):
                self._by_rule.setdefault(number, collections.Counter())[way] += 1
        if way == "hits":
            self.hits[facts.slot or "cache"] += 1
            return
        why = reason(facts)
        if why is Reason.UNPROVED:
            page = (host, url)
            if page in self._unproved or len(self._unproved) < MAX_PAGES:
                self._unproved.setdefault(page, collections.Counter())[way] += 1
                return
        self._count(way, why, url, 1)

    def _count(self, way: str, why: Reason, url: str, number: int) -> None:
        (self.held if way == "held" else self.asked)[why.value] += number
        examples = self.examples.setdefault(why.value, [])
        if len(examples) < MAX_EXAMPLES and (path := redact(url.partition("?")[0])) not in examples:
            examples.append(path)

    def explain(self, verdict: Callable[[str, str], str]) -> None:
        """Ask the warmer (host, URL -> a reason, or nothing) about the pages without a proof."""
        for (host, url), ways in self._unproved.items():
            why = verdict(host, url)
            for way, number in ways.items():
                self._count(way, Reason(why) if why else Reason.UNPROVED, url, number)
        self._unproved.clear()

    def to_wire(self) -> dict[str, Any]:
        """Return primitives only, without what is zero."""
        rules = [
            {"rule": number, "origin": self.rules[number - 1].origin, **counts}
            for number, counts in sorted(self._by_rule.items())
        ]
        wire: Mapping[str, Any] = {
            "hits": dict(self.hits),
            "held": dict(self.held),
            "asked": dict(self.asked),
            "examples": self.examples,
            "rules": rules,
        }
        return {name: value for name, value in wire.items() if value}
