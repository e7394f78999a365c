"""What a guest may choose."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class AfterCrash(enum.Enum):
    """What a request gets whose first try the application did not outlive."""

    AGAIN = "again"  # it is applied: twice, where the first try had come far enough
    REFUSE = "refuse"  # 409: whether it was applied is for a person to find out


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How keys are honoured. Raises ValueError for what makes no sense.

    ``methods``: of other ones the key is not looked at. ``scope``: names of headers that tell one
    client from another; two clients' equal keys are two keys, and nobody gets another's answer.
    ``max_body``, ``max_answer``: bytes. ``required``: a request without a key is refused.
    ``bare_keys``: also take keys without the quotation marks that RFC 8941 wants.
    ``not_kept``: statuses by which the application says that it has applied nothing and that the
    same request may come again; their keys are forgotten.
    """

    methods: frozenset[str] = frozenset({"POST", "PATCH"})
    scope: tuple[str, ...] = ("authorization",)
    max_body: int = 16 << 20
    max_answer: int = 1 << 20
    required: bool = False
    bare_keys: bool = False
    after_crash: AfterCrash = AfterCrash.AGAIN
    not_kept: frozenset[int] = frozenset({425, 429, 503})

    def __post_init__(self) -> None:
        """Check."""
        if not self.methods or any(name != name.upper() or name in _SAFE for name in self.methods):
            raise ValueError(f"methods must be unsafe ones in capitals, not {set(self.methods)}")
        if self.max_body < 0 or self.max_answer < 0:
            raise ValueError("max_body and max_answer are bytes, 0 or more")


DEFAULT: Final = Settings()
