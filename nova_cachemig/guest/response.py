"""The stored response to a request, and the error responses of the middleware (RFC 9457)."""

from __future__ import annotations

import dataclasses
import http
import json

Headers = tuple[tuple[str, str], ...]
"""Names and values as latin-1 text, in the application's order."""


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """A response. ``whole`` is False if the body was too large to store."""

    status: int
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    whole: bool = True

    def has(self, name: str) -> bool:
        """Return whether there is a header ``name`` (lower case)."""
        return any(key.lower() == name for key, _ in self.headers)

    def framed(self) -> Response:
        """Return it with Content-Length, unless it has one or must not have one."""
        if self.status < 200 or self.status in {204, 304} or self.has("content-length"):
            return self
        length = ("Content-Length", str(len(self.body)))
        return dataclasses.replace(self, headers=(*self.headers, length))

    def replayed(self) -> Response:
        """Return it marked as a repetition."""
        mark = ("Idempotent-Replayed", "true")
        return dataclasses.replace(self, headers=(*self.headers, mark)).framed()


def phrase(status: int) -> str:
    """Return the standard reason phrase."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def problem_response(
    status: int, code: str, detail: str, *extra: tuple[str, str], first: int | None = None
) -> Response:
    """Return an error response. ``code`` is for programs, ``first`` the first status."""
    facts: dict[str, object] = {
        "title": phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
    }
    if first is not None:
        facts["first_status"] = first
    headers = (
        ("Content-Type", "application/problem+json"),
        ("Cache-Control", "no-store"),
        *extra,
    )
    return Response(status, phrase(status), headers, json.dumps(facts).encode() + b"\n").framed()
