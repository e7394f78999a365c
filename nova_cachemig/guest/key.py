"""Parses the header Idempotency-Key, and computes the name under which a key is stored.

draft-ietf-httpapi-idempotency-key-header: the value is an Item of type String (RFC 8941). Its
parameters have no meaning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

MAX_KEY: Final = 255  # characters

_STRING: Final = r'"(?P<text>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"'
_BARE_ITEM: Final = (
    r"(?:-?\d{1,15}(?:\.\d{1,3})?"
    r'|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    r"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"
    r"|:[A-Za-z0-9+/]*=*:"
    r"|\?[01])"
)
_ITEM: Final = re.compile(rf" *{_STRING}(?:; *[a-z*][a-z0-9_.*-]*(?:={_BARE_ITEM})?)* *")
_BARE: Final = re.compile(r"[A-Za-z0-9._~:/+=-]+")


class BadKey(ValueError):
    """The value of the header is not a key: the client's fault. The text is for the client."""


def parse(value: str, *, bare: bool) -> str:
    """Return the key. ``bare`` also permits one without quotation marks. Raises BadKey."""
    if len(value) > 4 * MAX_KEY:
        raise BadKey(f"The key is longer than {MAX_KEY} characters.")
    if found := _ITEM.fullmatch(value):
        key = re.sub(r"\\(.)", r"\1", found["text"])
    elif bare and _BARE.fullmatch(value.strip()):
        key = value.strip()
    else:
        raise BadKey('The key must be a string as defined in RFC 8941, such as "8e03978e-40d5".')
    if not 1 <= len(key) <= MAX_KEY:
        raise BadKey(f"The key must have from 1 to {MAX_KEY} characters.")
    return key


def digest(parts: Iterable[bytes]) -> str:
    """Return one text for several parts. Different parts give different texts."""
    state = hashlib.blake2b(digest_size=32)
    for part in parts:
        state.update(len(part).to_bytes(8, "big") + part)
    return state.hexdigest()


def fingerprint(method: str, host: str, target: str, kind: str, cookies: str, body: bytes) -> str:
    """Return a text that identifies a request. ``body`` is its digest, ``kind`` its type."""
    texts = (method, host.lower(), target, kind, cookies)
    return digest([*(text.encode("utf-8", "surrogateescape") for text in texts), body])
