"""The comparable facts of a case, and the differences that an RFC asks for or allows."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from tests.functional.twin.wire import Message

Facts = dict[str, str]

_JOINTS = {"set-cookie": " | ", "cookie": "; "}
"""Between the lines of a field: RFC 9110, section 5.3, and RFC 6265, section 5.4."""


def facts(got: Sequence[Message], back: Sequence[Message]) -> Facts:
    """Return the facts of the requests that the guest got and the responses that came back."""
    found = {"guest.requests": str(len(got)), "client.responses": str(len(back))}
    for who, messages in (("guest", got), ("client", back)):
        for number, message in enumerate(messages):
            found |= {f"{who}.{number}.{name}": value for name, value in _of(message, who)}
    return found


def _of(message: Message, who: str) -> Iterator[tuple[str, str]]:
    parts = message.start.split(" ", 2)
    names = ("method", "target", "version") if who == "guest" else ("version", "status", "reason")
    yield from zip(names, parts, strict=False)
    for name in sorted({name for name, _ in message.fields}):
        yield f"field.{name}", _JOINTS.get(name, ", ").join(message.all(name))
    yield "body", _short(message.body)
    yield "framing", message.framing
    yield "trailers", repr(message.trailers)
    yield "whole", str(message.whole)
    yield "interim", ", ".join(message.interim)
    yield "after", _short(message.after)


def _short(data: bytes) -> str:
    if len(data) <= 60:
        return repr(data)
    return f"{data[:20]!r}… {len(data)} bytes {hashlib.sha256(data).hexdigest()[:8]}"


@dataclasses.dataclass(frozen=True)
class Rule:
    """Explains a difference of the facts whose names match; ``values`` has patterns, too."""

    names: str
    before: str
    after: str
    reason: str

    def explains(self, name: str, before: str, after: str) -> bool:
        """Tell whether this rule covers the difference."""
        return (
            fnmatchcase(name, self.names)
            and fnmatchcase(before, self.before)
            and fnmatchcase(after, self.after)
        )


NONE = "absent"
ANY = "*"

HOPS = (
    Rule("*.connection", ANY, ANY, "RFC 9110, 7.6.1: each hop has its own options"),
    Rule("*.keep-alive", ANY, NONE, "RFC 9110, 7.6.1"),
    Rule("*.proxy-connection", ANY, NONE, "RFC 9110, 7.6.1"),
    Rule("*.x-hop", ANY, NONE, "RFC 9110, 7.6.1: the field is named by Connection"),
    Rule("guest.*.te", ANY, NONE, "RFC 9110, 10.1.4: it describes one connection"),
    Rule("*.upgrade", ANY, NONE, "RFC 9110, 7.8: no hop has to take it"),
    Rule("client.*.proxy-authenticate", ANY, NONE, "RFC 9110, 11.7.1: for the next client only"),
    Rule("client.*.reason", ANY, ANY, "RFC 9112, 4: clients ignore it"),
    Rule("*.x-folded", "a*b", "a*b", "RFC 9112, 5.2: the fold becomes spaces"),
    Rule("guest.*.version", "HTTP/1.0", "HTTP/1.1", "RFC 9110, 6.2: the sender's version"),
    Rule("client.*.version", "HTTP/1.0", "HTTP/1.1", "RFC 9110, 6.2"),
    Rule("client.*.field.date", NONE, "*GMT", "RFC 9110, 6.6.1: a recipient adds it"),
    Rule("*.framing", "[!n]*", "[!n]*", "RFC 9112, 6.1: any recipient may change it"),
    Rule("*.transfer-encoding", ANY, ANY, "RFC 9112, 6.1"),
    Rule("*.content-length", NONE, "[0-9]*", "RFC 9112, 6.2: if the length is known"),
    Rule("*.trailers", ANY, "()", "RFC 9112, 7.1.2: who removes the chunks may discard them"),
    Rule("*.trailer", ANY, NONE, "RFC 9110, 6.6.2: the fields that were discarded"),
    Rule("guest.*.target", "[hH]*://*", "/*", "RFC 9112, 3.2.1: the form for an origin"),
    Rule("guest.*.target", "http://*:80/*", "http://*/*", "RFC 9110, 4.2.3: the same URL"),
    Rule("guest.*.field.host", "SHOP.Example", "shop.example", "RFC 9110, 4.2.3: the same host"),
    Rule("guest.*.field.host", "*:80", "shop.example", "RFC 9110, 4.2.3: the default port"),
)

BY_THE_EDGE = (
    *HOPS,
    Rule("guest.*.field.x-forwarded-for", ANY, "*127.0.0.1", "[engine] forwarded_for"),
)

IN_A_HANDOVER = (
    *HOPS,
    Rule("client.*.interim", "", "*100 Continue", "RFC 9110, 10.1.1: any server may send it"),
    Rule("guest.*.expect", ANY, NONE, "RFC 9110, 10.1.1: the body is there"),
    Rule("client.*.field.age", NONE, "[0-9]*", "RFC 9111, 5.1: of a stored response"),
    Rule("client.*.field.cache-status", ANY, "*cachemig; hit*", "RFC 9211, 2"),
)


def unexplained(before: Facts, after: Facts, rules: Sequence[Rule]) -> list[str]:
    """Return the differences that no rule explains, as lines."""
    lines = []
    for name in sorted({*before, *after}):
        one, two = before.get(name, NONE), after.get(name, NONE)
        if one == two or _follows(name, before, after):
            continue
        if not any(rule.explains(name, one, two) for rule in rules):
            lines.append(f"{name}: {one} → {two}")
    return lines


def _follows(name: str, before: Facts, after: Facts) -> bool:
    """Tell whether a difference is only the consequence of another one.

    A response from the cache has no request (RFC 9111, section 4). A request that did not arrive
    has no facts, and a response with another status is not compared further.
    """
    who, number, *_ = name.split(".")
    if name == "guest.requests":
        hits = sum("cachemig; hit" in value for key, value in after.items() if "status" in key)
        missing = int(before[name]) - int(after[name])
        return 0 < missing <= hits
    if who == "guest":
        return int(number) >= min(int(before["guest.requests"]), int(after["guest.requests"]))
    status = f"client.{number}.status"
    return name != status and before.get(status) != after.get(status)
