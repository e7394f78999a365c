"""Leaks that are known and not closed yet.

The test fails for each other leak, and for each entry here that leaks no more.
"""

from __future__ import annotations

from tests.functional.leaks.names import DIMENSIONS, LOGINS

_KEY = "only the URL, the host and the cookies are part of the key"
_HOP = "Proxy-Authorization"
_DECLARED = "the response is stored although it declares itself not shared"

KNOWN_LEAKS: tuple[tuple[str, str, str], ...] = (
    *((f"{name}, *", "[as]*", _KEY) for name in (*LOGINS, *DIMENSIONS) if name != _HOP),
    (f"{_HOP}, [!t]*", "[as]*", "Varnish removes the field"),
    ("a language with Vary: [!Aa]*", "[as]*", _KEY),
    ("a language with Vary: Accept-Encoding", "[as]*", _KEY),
    ("X-Forwarded-For, *", "[as]*", _KEY),
    ("Forwarded, *", "[as]*", _KEY),
    ("address, nothing", "[as]*", _DECLARED),
    ("address, an ETag", "[as]*", _DECLARED),
    ("address, Last-Modified", "[as]*", _DECLARED),
    ("address, Expires: 0", "[as]*", _DECLARED),
    ("a page with nothing", "[as]*", _DECLARED),
    ("a page with max-age=0", "[as]*", _DECLARED),
    ("a page with Expires*", "[as]*", _DECLARED),
    ("a page with an ETag", "[as]*", _DECLARED),
    ("a page with Last-Modified", "[as]*", _DECLARED),
    ("a page with CDN-Cache-Control*", "[as]*", _DECLARED),
    ("a page with Surrogate-Control*", "[as]*", _DECLARED),
    ("Set-Cookie2, *", "[as]*", _DECLARED),
)
"""Patterns of the way and the phase, and the reason."""
