"""Encodes a write as an HTTP/1.1 request, and interprets the guest's "try again"."""

from __future__ import annotations

from nova_cachemig.model.write import AcceptedWrite, GuestResponse


def head(write: AcceptedWrite) -> bytes:
    """Return the request's head. The body follows unencoded, ``write.body.length`` bytes."""
    lines = [f"{write.method} {write.url} HTTP/1.1", f"host: {write.host}"]
    lines += [f"{name}: {value}" for name, value in write.headers]
    if write.key is not None:
        lines.append(f"idempotency-key: {write.key}")
    if write.framed:
        lines.append(f"content-length: {write.body.length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def retry_after(write: AcceptedWrite, response: GuestResponse) -> float | None:
    """Return the seconds after which to send the write again; None if the response is final.

    A write may be sent again while a guest that honours keys still processes the first try. Such a
    guest responds 409 with Retry-After. Its response to the first try is the final one.
    """
    if response.status != 409 or not write.honours_keys or write.key is None:
        return None
    after = response.header("retry-after") or ""
    return min(max(float(after), 0.1), 5.0) if after.isdecimal() else None
