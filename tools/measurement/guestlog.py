"""Read a guest's write log.

Each parser yields the writes in the order in which the guest applied them. The formats are:

``tsv``
    lines of ``seq<TAB>method<TAB>path<TAB>client<TAB>request id<TAB>key<TAB>body-hash``. The fields
    after the request id may be missing. ``-`` is an empty value.
``jsonl``
    one JSON object per line, with the members ``seq``, ``method``, ``path``, ``client``,
    ``request`` and, if known, ``key`` and ``body``.
``regex``
    a pattern with groups of those names. Lines that do not match are ignored. Without a group
    ``seq``, the number of the line is its place.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator

Parser = Callable[[str], Iterator["Applied"]]


class GuestLogError(ValueError):
    """The guest's log cannot be read; the text names the line."""


@dataclasses.dataclass(frozen=True, slots=True)
class Applied:
    """One write that the guest applied; ``seq`` is its place in the guest's total order."""

    seq: int
    method: str
    path: str
    client: str
    request: str  # X-Request-Id
    key: str = ""  # Idempotency-Key
    body: str = ""  # the guest's hash of the body


def tsv(text: str) -> Iterator[Applied]:
    """Tab-separated lines; raises GuestLogError."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) < 5:
            raise GuestLogError(f"line {number} of the guest's log has {len(fields)} fields, not 5")
        try:
            yield Applied(int(fields[0]), *("" if f == "-" else f for f in fields[1:7]))
        except ValueError as exc:
            raise GuestLogError(f"line {number} of the guest's log: {exc}") from exc


def jsonl(text: str) -> Iterator[Applied]:
    """One JSON object per line; raises GuestLogError."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            yield _named(entry, int(entry["seq"]))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise GuestLogError(f"line {number} of the guest's log: {exc!r}") from exc


def regex(pattern: str) -> Parser:
    """A parser for lines that match ``pattern``; raises GuestLogError for a bad pattern."""
    try:
        compiled = re.compile(pattern)
    except re.error as exc:
        raise GuestLogError(f"--log-pattern: {exc}") from exc
    missing = {"method", "path", "request"} - set(compiled.groupindex)
    if missing:
        raise GuestLogError(f"--log-pattern lacks the groups {', '.join(sorted(missing))}")

    def parse(text: str) -> Iterator[Applied]:
        for number, line in enumerate(text.splitlines(), 1):
            match = compiled.search(line)
            if match:
                groups = match.groupdict(default="")
                try:
                    yield _named(groups, int(groups.get("seq") or number))
                except ValueError as exc:
                    raise GuestLogError(f"line {number} of the guest's log: {exc}") from exc

    return parse


def _named(entry: dict[str, str], seq: int) -> Applied:
    return Applied(
        seq=seq,
        method=str(entry["method"]),
        path=str(entry["path"]),
        client=str(entry.get("client", "")),
        request=str(entry["request"]),
        key=str(entry.get("key", "")),
        body=str(entry.get("body", "")),
    )
