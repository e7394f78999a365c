"""One line of the edge's access log."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class AccessRecord:
    """A request that the edge has answered. ``at``: UNIX seconds; ``seconds``: how long it took."""

    service: str
    client: str  # address of the client, never a cookie
    method: str
    host: str  # Host header as the cache sees it
    url: str  # path and query as sent
    status: int
    at: float
    seconds: float
    has_cookie: bool = False  # of its own cache key: nobody else's request would hit it


@dataclasses.dataclass(frozen=True, slots=True)
class PageKey:
    """What names a page to fetch into the cache: always GET, without cookies."""

    service: str
    host: str
    url: str
