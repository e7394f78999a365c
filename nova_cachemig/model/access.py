"""The records of the edge's access log."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class AccessRecord:
    """A request that the edge completed. ``at`` is in UNIX seconds, ``seconds`` is its duration."""

    service: str
    client: str  # the client's address, never a cookie
    method: str
    host: str  # the Host header that the cache sees
    url: str  # path and query as sent
    status: int
    at: float
    seconds: float
    has_cookie: bool = False  # then only this client's requests can hit its cache entry
    forwarded: str = ""  # headers of a TLS terminator, see model/terminator.py
    agent: str = ""  # User-Agent
    accept: str = ""  # Accept
    language: str = ""  # Accept-Language
    cookies: tuple[str, ...] | None = None  # their names; None: not in the sample


@dataclasses.dataclass(frozen=True, slots=True)
class PageKey:
    """The identity of a page that the warmer can fetch: by GET, without cookies."""

    service: str
    host: str
    url: str
