"""What the headers of an answer say to a cache: was it a hit, may it be stored and reused."""

from __future__ import annotations

from typing import Final

Headers = list[tuple[bytes, bytes]]

# RFC 9110 §15.1: statuses that may be stored without explicit freshness
_STORABLE: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_FORBIDS: Final = frozenset({"no-store", "private", "no-cache"})


def values(headers: Headers, name: bytes) -> list[str]:
    """The members of a list header, whitespace stripped, over all its lines."""
    joined = ",".join(value.decode("latin-1") for key, value in headers if key == name)
    return [member.strip() for member in joined.split(",") if member.strip()]


def is_hit(headers: Headers) -> bool:
    """A member of Cache-Status (RFC 9211) has the parameter ``hit`` and was not held before.

    A read that was held until its page was renewed (``detail=held``) may find it in the cache then.
    """
    told = [
        {parameter.strip().lower() for parameter in member.split(";")[1:]}
        for member in values(headers, b"cache-status")
    ]
    return any(
        parameters & {"hit", "hit=?1"} and "detail=held" not in parameters for parameters in told
    )


def is_storable(status: int, headers: Headers) -> bool:
    """A shared cache may store this answer to a GET and use it for the next one."""
    if status not in _STORABLE or any(name == b"set-cookie" for name, _ in headers):
        return False
    directives = {
        member.split("=")[0].strip().lower() for member in values(headers, b"cache-control")
    }
    return not directives & _FORBIDS and "*" not in values(headers, b"vary")


def whole_number(headers: Headers, name: bytes) -> int | None:
    """A header that is one whole number; None if it is missing or something else."""
    found = values(headers, name)
    return int(found[0]) if len(found) == 1 and found[0].isdecimal() else None
