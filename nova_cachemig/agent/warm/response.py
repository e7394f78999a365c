"""What came of one fetch, as the cache tells it by ``X-Cachemig-Served``."""

from __future__ import annotations

import dataclasses
import email.utils
import enum
import math
import re
from collections.abc import Mapping
from typing import Final

_DIRECTIVE: Final = re.compile(r'([a-z-]+)(?:=(?:"([^"]*)"|([^\s,;]*)))?', re.IGNORECASE)
_NO_GRACE: Final = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})


class FetchError(Exception):
    """A fetch brought no answer."""

    def __init__(
        self,
        text: str,
        *,
        timed_out: bool = False,
        unreachable: bool = False,
        hopeless: bool = False,
    ) -> None:
        """``unreachable``: the cache itself is not there; ``hopeless``: no use trying again."""
        super().__init__(text)
        self.timed_out, self.unreachable, self.hopeless = timed_out, unreachable, hopeless


class Verdict(enum.Enum):
    """Where the page is now."""

    STORED = enum.auto()  # fetched from the guest and stored
    HIT = enum.auto()  # was there
    UNCACHEABLE = enum.auto()  # passed on, not stored
    FAILED = enum.auto()  # an error, of the guest's or on the way to it


@dataclasses.dataclass(frozen=True, slots=True)
class FetchedResponse:
    """Header names in lower case; ``first_byte`` in seconds since the request; ``size`` in bytes.

    ``body`` is as much of it as was asked for, as sent (perhaps compressed).
    """

    status: int
    headers: Mapping[str, str]
    first_byte: float
    size: int
    body: bytes

    @property
    def turned_away(self) -> bool:
        """The engine does not let the warmer in: shielded, or no longer being handed over."""
        return self.headers.get("x-cachemig-served") == "refused"

    @property
    def verdict(self) -> Verdict:
        """What the engine says; an answer that it does not sign is a failure."""
        served = self.headers.get("x-cachemig-served", "")
        if served in {"hit", "stale"}:
            return Verdict.FAILED if self.status >= 400 else Verdict.HIT
        if self.status >= 400:
            return Verdict.FAILED
        if served == "stored":
            return Verdict.STORED
        return Verdict.UNCACHEABLE if served == "pass" else Verdict.FAILED

    def usable_for(self, stale_max: float) -> float:
        """Seconds for which the cache may answer with this: freshness (RFC 9111, 4.2) and grace.

        ``stale_max`` is the engine's bound of stale use in seconds; what must be revalidated has
        none. An answer without freshness information counts as stale from the start.
        """
        control = {
            match[1].lower(): match[2] if match[2] is not None else match[3]
            for match in _DIRECTIVE.finditer(self.headers.get("cache-control", ""))
        }
        fresh = self._lifetime(control) - _seconds(self.headers.get("age"), 0.0)
        return max(0.0, fresh) + (0.0 if _NO_GRACE & control.keys() else stale_max)

    def _lifetime(self, control: Mapping[str, str | None]) -> float:
        for name in ("s-maxage", "max-age"):
            if name in control:
                return _seconds(control[name], 0.0)
        expires, date = _date(self.headers.get("expires")), _date(self.headers.get("date"))
        return expires - date if expires is not None and date is not None else 0.0


def _seconds(text: str | None, otherwise: float) -> float:
    try:
        value = float(text) if text else otherwise
    except ValueError:
        return otherwise
    return value if math.isfinite(value) and value >= 0 else otherwise


def _date(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
