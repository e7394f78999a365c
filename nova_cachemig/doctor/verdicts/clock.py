"""Verdicts on the clock of this node."""

from __future__ import annotations

import datetime
import email.utils
from typing import Final

from nova_cachemig.doctor.verdict import Verdict, ok, skipped, warning

_UNSYNCHRONIZED: Final = 0x40  # STA_UNSYNC of adjtimex(2)
_ALLOWED: Final = 5.0
_REMEDY: Final = "Synchronize the clock with the same NTP servers as Nova: install chrony"


def synchronized(status: int) -> Verdict:
    """``status``: the bits that adjtimex(2) returns."""
    if status & _UNSYNCHRONIZED:
        return warning("The kernel reports that no NTP client has synchronized the clock", _REMEDY)
    return ok("An NTP client has synchronized the clock")


def skew(date: str | None, before: float, after: float) -> Verdict:
    """``date``: the Date header of Nova's response; ``before``, ``after``: this node, UNIX s."""
    if not date:
        return skipped("Nova's response has no Date header")
    try:
        theirs = email.utils.parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return skipped(f"Nova's Date header is not a date: {date!r:.60}")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=datetime.UTC)
    # The header is rounded down to seconds, and made between the request and the response.
    off = max(before - theirs.timestamp() - 1.0, theirs.timestamp() - after, 0.0)
    if off > _ALLOWED:
        return warning(
            f"The clock of this node and that of Nova's API differ by {off:.0f} s: their logs and "
            "the records of handovers are hard to compare",
            _REMEDY,
        )
    return ok("The clock of this node agrees with that of Nova's API")
