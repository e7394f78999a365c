"""A write as HTTP/1.1 bytes for the guest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nova_cachemig.model.write import GuestResponse, Headers, HeldWrite

# RFC 9110 section 7.6.1, and what describes one connection's framing only.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers (names in lower case) without those of one connection."""
    kept = tuple(headers)
    if HOP_BY_HOP.isdisjoint([name for name, _ in kept]):
        return kept
    named = {
        token.strip().lower()
        for name, value in kept
        if name == "connection"
        for token in value.split(",")
    }
    gone = HOP_BY_HOP | named
    return tuple((name, value) for name, value in kept if name not in gone)


def head(write: HeldWrite) -> bytes:
    """Return the request's head. The body follows as it is, ``write.body.length`` bytes."""
    lines = [f"{write.method} {write.url} HTTP/1.1", f"host: {write.host}"]
    lines += [f"{name}: {value}" for name, value in write.headers]
    if write.key is not None:
        lines.append(f"idempotency-key: {write.key}")
    if write.framed:
        lines.append(f"content-length: {write.body.length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def under_way(write: HeldWrite, answer: GuestResponse) -> float | None:
    """Seconds after which to ask again, None for an answer that counts.

    A guest that honours keys says 409 with Retry-After while it still deals with the first try of a
    write that was sent again: what it says to that one is the answer.
    """
    if answer.status != 409 or not write.honours_keys or write.key is None:
        return None
    after = answer.header("retry-after") or ""
    return min(max(float(after), 0.1), 5.0) if after.isdecimal() else None
