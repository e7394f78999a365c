"""The fate of an accepted write that a crash has left on disk."""

from __future__ import annotations

import enum


class Fate(enum.Enum):
    """The decision about one write."""

    WAITING = enum.auto()  # it was not sent: it waits at its place
    RESENT = enum.auto()  # it may have been sent, and does no harm if it is sent again
    RESPONDED = enum.auto()  # the progress log has the guest's response
    IN_DOUBT = enum.auto()  # it may have been applied, and must not be applied twice


def fate(
    *,
    resendable: bool,
    sent: bool,
    responded: bool,
    complete: bool,
    position: int,
    send_limit: int,
) -> Fate:
    """Decide about one write.

    ``sent`` and ``responded`` are entries of the progress log, which are always true. ``complete``:
    it also lacks nothing, so that a write without an entry was not sent. Otherwise each write up to
    the durable send limit may have been sent.
    """
    if responded:
        return Fate.RESPONDED
    if not sent and (complete or position > send_limit):
        return Fate.WAITING
    return Fate.RESENT if resendable else Fate.IN_DOUBT
