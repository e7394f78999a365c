"""Recognizes a repeated multipart form. The agent's intake uses the same rules.

A client chooses a new boundary each time it sends a form: two requests with the same parts differ
in ``Content-Type`` and body. So the digest of a form is that of its parts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

_BOUNDARY: Final = re.compile(
    r';\s*boundary=(?:"(?P<quoted>[^"]{1,200})"|(?P<bare>[^\s;"]{1,200}))', re.IGNORECASE
)
_DIGEST: Final = 16  # bytes


def split_type(content_type: str) -> tuple[str, bytes | None]:
    """Return the content type without its boundary, and the boundary; None if it is no form."""
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().startswith("multipart/"):
        return content_type, None
    boundary = found["quoted"] or found["bare"]
    kind = content_type[: found.start()] + content_type[found.end() :]
    return kind, boundary.encode("utf-8", "surrogateescape")


def digest(chunks: Iterable[bytes], boundary: bytes) -> bytes:
    """Return a digest of the parts and their order."""
    mark = b"--" + boundary
    kept = len(mark) - 1  # bytes that may be the beginning of a mark
    parts, part, tail = _state(), _state(), b""
    for chunk in chunks:
        *ends, rest = (tail + chunk).split(mark)
        for end in ends:
            part.update(end)
            parts.update(part.digest())
            part = _state()
        part.update(rest[:-kept])
        tail = rest[-kept:]
    part.update(tail)
    parts.update(part.digest())
    return parts.digest()


def _state() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=_DIGEST)
