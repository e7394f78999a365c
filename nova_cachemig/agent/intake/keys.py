"""Idempotency-Key: the same key with the same request gets the same response.

draft-ietf-httpapi-idempotency-key-header: another request with the key gets 422; a repetition while
the first request is in flight gets 409. Keys are scoped by service and Authorization, so that no
client gets the response to another one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from nova_cachemig.model.write import Body

HEADER: Final = "idempotency-key"


def fresh() -> str:
    """Return a key for a write without one: a quoted string of RFC 8941."""
    return f'"{secrets.token_hex(16)}"'


def digest(key: str, authorization: str | None) -> str:
    """Return the name under which the key is stored."""
    return _hash(key, authorization or "")


def fingerprint(method: str, host: str, url: str, content_type: str | None, body: Body) -> str:
    """Return what distinguishes a request from others with the same key."""
    content = body.digest if body.spool else hashlib.blake2b(body.data, digest_size=16).digest()
    return _hash(method, host, url, content_type or "", content.hex())


def _hash(*parts: str) -> str:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape")
        state.update(len(raw).to_bytes(4, "big") + raw)
    return state.hexdigest()
