"""Encodes a write as an HTTP/1.1 request."""

from __future__ import annotations

from nova_cachemig.model.write import AcceptedWrite


def head(write: AcceptedWrite) -> bytes:
    """Return the request's head. The body follows unencoded, ``write.body.length`` bytes."""
    lines = [f"{write.method} {write.url} HTTP/1.1", f"host: {write.host}"]
    lines += [f"{name}: {value}" for name, value in write.headers]
    if write.key is not None:
        lines.append(f"idempotency-key: {write.key}")
    if write.framed:
        lines.append(f"content-length: {write.body.length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
