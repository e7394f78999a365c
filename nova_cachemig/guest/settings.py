"""The settings of the middleware."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class AfterCrash(enum.Enum):
    """The treatment of a repeated request if the application died during the first attempt."""

    AGAIN = "again"  # apply it: twice, if the first attempt came far enough
    REFUSE = "refuse"  # respond with 409: the tenant must find out whether it was applied


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The rules for keys. Raises ValueError for invalid values.

    ``methods``: the middleware ignores keys of other methods. ``scope``: names of headers that
    identify a client. Equal keys of different clients are different keys, so that no client gets
    another client's response. Of ``cookie``, the cookies that are named like a login count (see
    ``nova_cachemig.guest.cookies``), and a request in which only others differ is refused.
    ``cookie:NAME`` says which cookie is the login. ``max_body`` and ``max_response`` are in bytes.
    ``required``: refuse a request without a key. ``bare_keys``: also accept keys without the
    quotation marks of RFC 8941. ``not_kept``: statuses that say that nothing was applied and that
    the client may repeat the request; their keys are not stored.
    """

    methods: frozenset[str] = frozenset({"POST", "PATCH"})
    scope: tuple[str, ...] = ("authorization", "cookie", "x-api-key")
    max_body: int = 16 << 20
    max_response: int = 1 << 20
    required: bool = False
    bare_keys: bool = False
    after_crash: AfterCrash = AfterCrash.AGAIN
    not_kept: frozenset[int] = frozenset({425, 429, 503})

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.methods or any(name != name.upper() or name in _SAFE for name in self.methods):
            raise ValueError(f"methods must be unsafe ones in capitals, not {set(self.methods)}")
        if self.max_body < 0 or self.max_response < 0:
            raise ValueError("max_body and max_response are bytes, 0 or more")


DEFAULT: Final = Settings()
