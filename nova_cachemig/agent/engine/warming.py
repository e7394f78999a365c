"""How the warmer speaks to the cache, over ``Engine.cache_socket`` (HTTP/1 on a unix socket).

The edge adds what it would add to a client's request (generation, epoch, state), so a page that is
fetched here is found by clients. An object that is stored but stale is fetched anew.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from nova_cachemig.agent.engine import names


class Warmed(enum.StrEnum):
    """What became of one fetch."""

    STORED = "stored"  # the guest was asked, its answer is in the cache now
    HIT = "hit"  # it was there and fresh
    UNCACHEABLE = "uncacheable"
    REFUSED = "refused"  # the service is not being handed over, or is shielded: stop
    FAILED = "failed"  # neither guest nor cache gave an answer


_SERVED = {
    "stored": Warmed.STORED,
    "hit": Warmed.HIT,
    "stale": Warmed.HIT,
    "pass": Warmed.UNCACHEABLE,
    "refused": Warmed.REFUSED,
}


def warm_headers(service: str, host: str) -> dict[str, str]:
    """Headers of a fetch of ``host`` (as in ``PageKey.host``); add none but Accept-Encoding."""
    return {"Host": host, "X-Cachemig-Service": names.of_service(service)}


def warmed(status: int, headers: Mapping[str, str]) -> Warmed:
    """What became of a fetch. ``headers`` by lower-case names, or case-insensitive."""
    if headers.get("x-cachemig-error"):
        return Warmed.FAILED
    served = headers.get("x-cachemig-served", "")
    if served in _SERVED:
        return _SERVED[served]
    return Warmed.FAILED if status >= 500 else Warmed.UNCACHEABLE
