"""Status URLs: unguessable, valid for one service, and not stored anywhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

from nova_cachemig.model.write import STATUS_PREFIX

PREFIX: Final = STATUS_PREFIX
_MAC_LENGTH = 18  # bytes: 144 bits cannot be guessed


def url_of(secret: bytes, position: int) -> str:
    """Return the path of a write's status URL. ``secret`` is the service's."""
    number = position.to_bytes(8, "big").lstrip(b"\0")
    token = _mac(secret, number) + number
    return PREFIX + base64.urlsafe_b64encode(token).decode().rstrip("=")


def position_of(secret: bytes, url: str) -> int | None:
    """Return the position in a status URL; None for any other URL."""
    text = url.partition("?")[0].removeprefix(PREFIX)
    try:
        token = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    mac, number = token[:_MAC_LENGTH], token[_MAC_LENGTH:]
    if not number or len(number) > 8 or not hmac.compare_digest(mac, _mac(secret, number)):
        return None
    return int.from_bytes(number, "big")


def _mac(secret: bytes, number: bytes) -> bytes:
    return hmac.digest(secret, number, hashlib.sha256)[:_MAC_LENGTH]
