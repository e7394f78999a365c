"""A request as it came from the edge, and a reply as it goes back."""

from __future__ import annotations

import dataclasses
import http
import json
from typing import Any

from nova_cachemig.model.write import NO_BODY, Body, GuestResponse, Headers

SERVICE = "x-cachemig-service"
CLIENT = "x-cachemig-client"
OURS = "x-cachemig-"


@dataclasses.dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body. Names of headers in lower case."""

    method: str
    url: str
    headers: Headers

    def get(self, name: str) -> str | None:
        """Return the first value of a header: the edge puts its own before all others."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def length(self) -> int | None:
        """Content-Length, None where the body is chunked or there is none."""
        value = self.get("content-length")
        return int(value) if value is not None and value.isdigit() else None

    @property
    def framed(self) -> bool:
        """Whether the client sent a body, if only an empty one."""
        return any(name in {"content-length", "transfer-encoding"} for name, _ in self.headers)


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """What the client gets. ``close``: the connection is of no use after it."""

    status: int
    headers: Headers = ()
    body: Body = NO_BODY
    close: bool = False

    def head(self, *, keep_alive: bool, bodiless: bool = False) -> bytes:
        """Return the head as bytes."""
        try:
            reason = http.HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "content-length"]
        if not bodiless and self.status not in {204, 304}:
            lines.append(f"content-length: {self.body.length}")
        if not keep_alive:
            lines.append("connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def relay(answer: GuestResponse, *extra: tuple[str, str]) -> Response:
    """Return the guest's own answer."""
    return Response(answer.status, answer.headers + extra, answer.body)


def problem(status: int, detail: str, *extra: tuple[str, str], close: bool = False) -> Response:
    """Return an answer of our own, RFC 9457."""
    title = http.HTTPStatus(status).phrase
    headers = (("content-type", "application/problem+json"), ("cache-control", "no-store"), *extra)
    return _json(status, {"title": title, "status": status, "detail": detail}, headers, close)


def report(status: int, facts: dict[str, Any], *extra: tuple[str, str]) -> Response:
    """Return facts as JSON."""
    headers = (("content-type", "application/json"), ("cache-control", "no-store"), *extra)
    return _json(status, facts, headers, False)


def _json(status: int, facts: dict[str, Any], headers: Headers, close: bool) -> Response:
    return Response(status, headers, Body.of(json.dumps(facts).encode() + b"\n"), close)
