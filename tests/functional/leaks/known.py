"""Leaks that are known and not closed yet.

The test fails for each other leak, and for each entry here that leaks no more.
"""

from __future__ import annotations

from tests.functional.leaks.names import DIMENSIONS, LOGINS

_KEY = "only the URL, the host and the cookies are part of the key"
_HOP = "Proxy-Authorization"
_DECLARED = "the response is stored although it declares itself not shared"

_FORMS = ("HEAD of ", "Range of ", "waiting: ", "waiting: HEAD of ", "waiting: Range of ")
_FIELDS = ("X-Auth-Token", "Accept-Language", "User-Agent", "X-Forwarded-Proto", "X-Unknown")
_UNSHARED = ("nothing", "max-age=0", "Expires: 0")

KNOWN_LEAKS: tuple[tuple[str, str, str], ...] = (
    *((f"{name}, *", "s*", _KEY) for name in (*LOGINS, *DIMENSIONS) if name != _HOP),
    (f"{_HOP}, [!t]*", "s*", "Varnish removes the field"),
    ("a language with Vary: [!Aa]*", "s*", _KEY),
    ("a language with Vary: Accept-Encoding", "s*", _KEY),
    ("X-Forwarded-For, *", "s*", _KEY),
    ("Forwarded, *", "s*", _KEY),
    ("address, nothing", "s*", _DECLARED),
    ("address, an ETag", "s*", _DECLARED),
    ("address, Last-Modified", "s*", _DECLARED),
    ("address, Expires: 0", "s*", _DECLARED),
    ("a page with nothing", "s*", _DECLARED),
    ("a page with max-age=0", "s*", _DECLARED),
    ("a page with Expires*", "s*", _DECLARED),
    ("a page with an ETag", "s*", _DECLARED),
    ("a page with Last-Modified", "s*", _DECLARED),
    ("a page with CDN-Cache-Control*", "s*", _DECLARED),
    ("a page with Surrogate-Control*", "s*", _DECLARED),
    ("Set-Cookie2, *", "s*", _DECLARED),
    *((f"{form}{name}, *", "s*", _KEY) for form in _FORMS for name in _FIELDS),
    *((f"{form}address, {key}", "s*", _DECLARED) for form in _FORMS for key in _UNSHARED),
    *((f"{form}a page with {key}", "s*", _DECLARED) for form in _FORMS for key in _UNSHARED),
)
"""Patterns of the way and the phase, and the reason."""
