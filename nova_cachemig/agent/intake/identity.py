"""The identity of a request's client: its login, and the marks that may belong to it as well."""

from __future__ import annotations

from typing import Final

from nova_cachemig.guest import cookies
from nova_cachemig.model.write import GuestResponse, Headers

CREDENTIALS: Final = (
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
)
"""Header fields that identify a client, in lower case."""
# Attributes with which a cookie is deleted.
_GONE: Final = frozenset({"max-age=0", "expires=thu, 01 jan 1970 00:00:00 gmt"})


def with_cookies_of(response: GuestResponse, headers: Headers) -> Headers:
    """Return a request's header fields as the client sends them after it got this response."""
    found = dict(_split(pair) for pair in cookies.parse(_cookie(headers)))
    for name, value in response.headers:
        if name == "set-cookie":
            pair, *attributes = value.split(";")
            cookie, content = _split(pair.strip())
            found[cookie] = content
            if any(attribute.strip().lower() in _GONE for attribute in attributes):
                del found[cookie]
    others = tuple((name, value) for name, value in headers if name != "cookie")
    text = "; ".join(f"{name}={value}" if name else value for name, value in found.items())
    return (*others, ("cookie", text)) if text else others


class Identity:
    """The identity of a request's client."""

    def __init__(self, headers: Headers, client: str, client_cookie: str | None) -> None:
        """``client`` is the edge's: an address, or a digest of the service's ``client_cookie``."""
        fields = [(name, value) for name, value in headers if name in CREDENTIALS]
        cookie = _cookie(headers)
        logins = cookies.logins(cookie, client_cookie)
        self.login = (*(f"{name}: {value}" for name, value in fields), *logins)
        """The credentials; empty if there are none."""
        personal = logins or any(name == "authorization" for name, _ in fields)
        self.marks = ("" if personal else client, *cookies.parse(cookie))
        """All cookies, and ``client`` if the login may be that of many: an application's key."""


def _cookie(headers: Headers) -> str:
    return "; ".join(value for name, value in headers if name == "cookie")


def _split(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    return (name, value) if equals else ("", name)
