"""Rules of HTTP's header fields that several packages share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from nova_cachemig.model.write import Headers

TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""Regular expression of a token, RFC 9110 section 5.6.2: a field's or a cookie's name."""

_TOKEN: Final = re.compile(TOKEN)

# RFC 9110 section 7.6.1, and the fields that describe the framing of one connection only.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def is_token(text: str) -> bool:
    """Whether ``text`` is a token."""
    return _TOKEN.fullmatch(text) is not None


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers (names in lower case) without those of one connection."""
    kept = tuple(headers)
    if HOP_BY_HOP.isdisjoint([name for name, _ in kept]):
        return kept
    named = {
        token.strip().lower()
        for name, value in kept
        if name == "connection"
        for token in value.split(",")
    }
    gone = HOP_BY_HOP | named
    return tuple((name, value) for name, value in kept if name not in gone)
