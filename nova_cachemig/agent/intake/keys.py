"""Idempotency-Key: the same key with the same request gets the same answer.

draft-ietf-httpapi-idempotency-key-header: another request with the key gets 422, one that is still
in flight 409. Keys are scoped by service and Authorization: nobody gets another's answer.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from nova_cachemig.agent.intake.http import RequestHead
from nova_cachemig.model.write import Body

HEADER: Final = "idempotency-key"


def fresh() -> str:
    """Return a key for a write that came without: a quoted string, RFC 8941."""
    return f'"{secrets.token_hex(16)}"'


def digest(head: RequestHead, key: str) -> str:
    """Return what the key is stored under."""
    return _hash(key, head.get("authorization") or "")


def fingerprint(head: RequestHead, host: str, body: Body) -> str:
    """Return what tells one request from another."""
    content = body.digest if body.spool else hashlib.blake2b(body.data, digest_size=16).digest()
    return _hash(head.method, host, head.url, head.get("content-type") or "", content.hex())


def _hash(*parts: str) -> str:
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape")
        state.update(len(raw).to_bytes(4, "big") + raw)
    return state.hexdigest()
