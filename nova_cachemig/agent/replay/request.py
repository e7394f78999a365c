"""Encodes a write as a request, in HTTP/1.1 if it has a host."""

from __future__ import annotations

from nova_cachemig.model.write import AcceptedWrite


def head(write: AcceptedWrite) -> bytes:
    """Return the request's head. The body follows unencoded, ``write.body.length`` bytes.

    A client of HTTP/1.0 may leave out the host. Many servers refuse HTTP/1.1 with an empty one.
    """
    lines = [f"{write.method} {write.url} HTTP/1.1", f"host: {write.host}"]
    if not write.host:
        lines = [f"{write.method} {write.url} HTTP/1.0"]
    lines += [f"{name}: {value}" for name, value in write.headers]
    if write.key is not None:
        lines.append(f"idempotency-key: {write.key}")
    if write.framed:
        lines.append(f"content-length: {write.body.length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def ends_connection(write: AcceptedWrite) -> bool:
    """Whether the guest may close the connection after the response, without announcing it."""
    return not write.host
