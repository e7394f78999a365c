"""Requests from the edge, and the responses to them."""

from __future__ import annotations

import dataclasses
import http
import json
from collections.abc import Callable
from typing import Any, Final

from nova_cachemig.agent.intake import keys
from nova_cachemig.model.headers import end_to_end
from nova_cachemig.model.write import NO_BODY, Body, GuestResponse, Headers, Tail

SERVICE = "x-cachemig-service"
CLIENT = "x-cachemig-client"
OURS = "x-cachemig-"
RETRY_AFTER: Final = ("retry-after", "1")
"""A header field of refusals that may pass."""
# The widths of the journal's columns.
MAX_METHOD: Final = 32
MAX_HOST: Final = 512
_FORMS: Final = frozenset(
    {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)
_ASYNC: Final = "respond-async"
_REASONS: Final = {status.value: status.phrase for status in http.HTTPStatus}
_NOT_FOR_GUEST: Final = frozenset({"host", "content-length", "expect", keys.HEADER})


@dataclasses.dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body. Header names are in lower case."""

    method: str
    url: str
    headers: Headers
    connected: Callable[[], bool] = dataclasses.field(default=lambda: True, compare=False)
    """Whether the edge still waits for the response."""
    _first: dict[str, str] = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Index the header fields: a write looks up a dozen of them."""
        object.__setattr__(self, "_first", dict(reversed(self.headers)))

    def get(self, name: str) -> str | None:
        """Return the first value of a header field: the edge puts its own before all others."""
        return self._first.get(name)

    @property
    def length(self) -> int | None:
        """Content-Length; None if the body is chunked or there is no body."""
        value = self.get("content-length")
        return int(value) if value is not None and value.isdigit() else None

    @property
    def framed(self) -> bool:
        """Whether the request has a body, possibly empty."""
        return "content-length" in self._first or "transfer-encoding" in self._first

    @property
    def respond_async(self) -> bool:
        """Whether the client prefers a 202 to waiting: RFC 7240, section 4.1."""
        if self.get("prefer") is None:
            return False
        values = ",".join(value for name, value in self.headers if name == "prefer")
        return any(preference.strip().lower() == _ASYNC for preference in values.split(","))

    @property
    def navigates(self) -> bool:
        """Whether a browser shows the response as a page: it sends a form, or opens a link."""
        if self.get("x-requested-with") is not None:
            return False
        if self.get("sec-fetch-mode") not in {None, "navigate"}:
            return False
        kind = (self.get("content-type") or "").partition(";")[0].strip().lower()
        form = kind in _FORMS or self.method in {"GET", "HEAD"}
        return form and "text/html" in (self.get("accept") or "").lower()

    def for_guest(self, *, respond_async: bool) -> Headers:
        """Return the header fields for the guest; without ``respond_async``, not this preference.

        The intake has met it then, and the status URL must lead to the guest's final response.
        """
        kept = [
            (name, value)
            for name, value in end_to_end(self.headers)
            if name not in _NOT_FOR_GUEST and not name.startswith(OURS)
        ]
        if respond_async or not self.respond_async:
            return tuple(kept)
        left = (
            (name, _without_async(value) if name == "prefer" else value) for name, value in kept
        )
        return tuple((name, value) for name, value in left if name != "prefer" or value)


def _without_async(value: str) -> str:
    preferences = (preference.strip() for preference in value.split(","))
    return ", ".join(one for one in preferences if one.lower() != _ASYNC)


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """A response to the edge. ``close``: close the connection after it.

    ``tail``: the body, if the guest has not sent all of it.
    """

    status: int
    headers: Headers = ()
    body: Body = NO_BODY
    close: bool = False
    tail: Tail | None = dataclasses.field(default=None, compare=False)

    @property
    def chunked(self) -> bool:
        """Whether only the end of the body shows its length."""
        return self.tail is not None and self.tail.length is None

    def head(self, *, keep_alive: bool, bodiless: bool = False) -> bytes:
        """Return the encoded head."""
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "content-length"]
        if self.chunked:
            lines.append("transfer-encoding: chunked")
        elif not bodiless and self.status not in {204, 304}:
            length = self.body.length if self.tail is None else self.tail.length
            lines.append(f"content-length: {length}")
        if not keep_alive:
            lines.append("connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def guest_response(response: GuestResponse, *extra: tuple[str, str]) -> Response:
    """Return the guest's own response."""
    if response.tail is not None:
        return Response(response.status, response.without_note() + extra, tail=response.tail)
    return Response(response.status, response.headers + extra, response.body)


def problem_response(
    status: int, detail: str, *extra: tuple[str, str], close: bool = False
) -> Response:
    """Return an error of the intake itself: RFC 9457."""
    title = http.HTTPStatus(status).phrase
    headers = (("content-type", "application/problem+json"), ("cache-control", "no-store"), *extra)
    return _json(status, {"title": title, "status": status, "detail": detail}, headers, close)


def json_response(status: int, facts: dict[str, Any], *extra: tuple[str, str]) -> Response:
    """Return facts as JSON."""
    headers = (("content-type", "application/json"), ("cache-control", "no-store"), *extra)
    return _json(status, facts, headers, False)


def _json(status: int, facts: dict[str, Any], headers: Headers, close: bool) -> Response:
    return Response(status, headers, Body.of(json.dumps(facts).encode() + b"\n"), close)
