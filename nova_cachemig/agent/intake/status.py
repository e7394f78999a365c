"""Status URLs: unguessable, scoped to the service, and with nothing of their own on disk."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "/.well-known/cachemig/writes/"
_PROOF = 18  # bytes: 144 bits that nobody guesses


def url_of(secret: bytes, position: int) -> str:
    """Return the path of a write's status. ``secret`` is the service's."""
    number = position.to_bytes(8, "big").lstrip(b"\0")
    token = _proof(secret, number) + number
    return PREFIX + base64.urlsafe_b64encode(token).decode().rstrip("=")


def position_of(secret: bytes, url: str) -> int | None:
    """Return the position that a status URL names, None for any other URL."""
    text = url.partition("?")[0].removeprefix(PREFIX)
    try:
        token = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    proof, number = token[:_PROOF], token[_PROOF:]
    if not number or len(number) > 8 or not hmac.compare_digest(proof, _proof(secret, number)):
        return None
    return int.from_bytes(number, "big")


def _proof(secret: bytes, number: bytes) -> bytes:
    return hmac.digest(secret, number, hashlib.sha256)[:_PROOF]
