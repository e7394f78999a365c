"""The result of one fetch, which the cache reports in ``X-Cachemig-Served``."""

from __future__ import annotations

import dataclasses
import email.utils
import enum
import math
import re
import urllib.parse
from collections.abc import Mapping
from typing import Final

_DIRECTIVE: Final = re.compile(r'([a-z-]+)(?:=(?:"([^"]*)"|([^\s,;]*)))?', re.IGNORECASE)
_NO_GRACE: Final = frozenset({"must-revalidate", "proxy-revalidate", "s-maxage"})


class FetchError(Exception):
    """A fetch without a response."""

    def __init__(
        self,
        text: str,
        *,
        timed_out: bool = False,
        unreachable: bool = False,
        permanent: bool = False,
    ) -> None:
        """``unreachable``: the cache itself failed; ``permanent``: a retry would fail too."""
        super().__init__(text)
        self.timed_out, self.unreachable, self.permanent = timed_out, unreachable, permanent


class Outcome(enum.Enum):
    """Whether the page is in the cache now."""

    STORED = enum.auto()  # fetched from the guest and stored
    HIT = enum.auto()  # it was stored before
    UNCACHEABLE = enum.auto()  # fetched from the guest, not stored
    FAILED = enum.auto()  # an error of the guest or of the connection to it


@dataclasses.dataclass(frozen=True, slots=True)
class FetchedResponse:
    """Header names are in lower case; ``first_byte`` is in seconds, ``size`` in bytes.

    ``body`` is its requested part, as sent (perhaps compressed). ``digest`` is of the whole body,
    decompressed; empty if it is unknown.
    """

    status: int
    headers: Mapping[str, str]
    first_byte: float
    size: int
    body: bytes
    digest: bytes = b""

    @property
    def committed(self) -> bool:
        """Whether the engine uses the page for users from now on."""
        return self.headers.get("x-cachemig-served") == "committed"

    @property
    def refused(self) -> bool:
        """Whether the engine refuses the warmer: the service is shielded, or in no handover."""
        return self.headers.get("x-cachemig-served") == "refused"

    @property
    def outcome(self) -> Outcome:
        """The outcome that the engine reports; FAILED for a response without its header."""
        served = self.headers.get("x-cachemig-served", "")
        if served in {"hit", "stale"}:
            return Outcome.FAILED if self.status >= 400 else Outcome.HIT
        if self.status >= 400:
            return Outcome.FAILED
        if served == "stored":
            return Outcome.STORED
        return Outcome.UNCACHEABLE if served == "pass" else Outcome.FAILED

    def redirects_to(self, host: str, url: str) -> bool:
        """Return whether this redirects to the page itself, with another scheme or port.

        A site behind a TLS terminator does so if the request lacks the terminator's headers.
        """
        return self.target(host, url) == url

    def target(self, host: str, url: str) -> str | None:
        """Return the URL to which this redirects, as path and query; None: none on this host."""
        location = self.headers.get("location", "")
        if not 300 <= self.status < 400 or not location:
            return None
        try:
            target = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{host}{url}", location))
            name = target.hostname
        except ValueError:
            return None
        if name != host.lower().partition(":")[0]:
            return None
        return f"{target.path or '/'}?{target.query}" if target.query else target.path or "/"

    def lifetime(self, stale_max: float) -> float:
        """Return the seconds for which the cache may use this: freshness (RFC 9111, 4.2) and grace.

        ``stale_max`` is the engine's limit of stale use, in seconds; a response that must be
        revalidated has none. A response without freshness information is stale from the start.
        """
        control = {
            match[1].lower(): match[2] if match[2] is not None else match[3]
            for match in _DIRECTIVE.finditer(self.headers.get("cache-control", ""))
        }
        silence = "x-cachemig-only" in self.headers  # by the service's policy
        fresh = self._freshness(control) - _seconds(self.headers.get("age"), 0.0)
        return max(0.0, fresh) + (0.0 if _NO_GRACE & control.keys() and not silence else stale_max)

    def _freshness(self, control: Mapping[str, str | None]) -> float:
        for name in ("s-maxage", "max-age"):
            if name in control:
                return _seconds(control[name], 0.0)
        expires, date = _date(self.headers.get("expires")), _date(self.headers.get("date"))
        return expires - date if expires is not None and date is not None else 0.0


def _seconds(text: str | None, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        return default
    return value if math.isfinite(value) and value >= 0 else default


def _date(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
