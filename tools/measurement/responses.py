"""The meaning of response headers for a cache: was it a hit, may it be stored and reused."""

from __future__ import annotations

from typing import Final

Headers = list[tuple[bytes, bytes]]

# RFC 9110 §15.1: statuses that may be stored without explicit freshness
_STORABLE: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_FORBIDS: Final = frozenset({"no-store", "private", "no-cache"})


def values(headers: Headers, name: bytes) -> list[str]:
    """The members of a list header, from all its lines, without surrounding white space."""
    joined = ",".join(value.decode("latin-1") for key, value in headers if key == name)
    return [member.strip() for member in joined.split(",") if member.strip()]


def is_hit(headers: Headers) -> bool:
    """Whether a member of Cache-Status (RFC 9211) has the parameter ``hit``, without being held.

    A read that was held until its page was fetched again (``detail=held``) may be a cache hit then.
    """
    members = [
        {parameter.strip().lower() for parameter in member.split(";")[1:]}
        for member in values(headers, b"cache-status")
    ]
    return any(
        parameters & {"hit", "hit=?1"} and "detail=held" not in parameters for parameters in members
    )


def is_storable(status: int, headers: Headers) -> bool:
    """Whether a shared cache may store this response to a GET and reuse it."""
    if status not in _STORABLE or any(name == b"set-cookie" for name, _ in headers):
        return False
    directives = {
        member.split("=")[0].strip().lower() for member in values(headers, b"cache-control")
    }
    return not directives & _FORBIDS and "*" not in values(headers, b"vary")


def whole_number(headers: Headers, name: bytes) -> int | None:
    """The value of a header that is one whole number; None otherwise."""
    found = values(headers, name)
    return int(found[0]) if len(found) == 1 and found[0].isdecimal() else None
