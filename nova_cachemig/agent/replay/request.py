"""A write as HTTP/1.1 bytes for the guest."""

from __future__ import annotations

from nova_cachemig.model.write import GuestResponse, HeldWrite


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
