"""The actions of the machine. A comment names the events with which the performer reports back."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Hashable
from typing import Any

from nova_cachemig.model.write import WriteState
from nova_cachemig.replay.entry import Entry, Token


class Told(enum.Enum):
    """The kinds of responses to clients."""

    RESPONSE = enum.auto()  # the guest's response
    ACCEPTED = enum.auto()  # 202 with a status URL: the write is applied before any later one
    REFUSED = enum.auto()  # 503: the write is not accepted and never will be
    UNKNOWN = enum.auto()  # 504 with a status URL: it may be applied, at any later time
    IN_DOUBT = enum.auto()  # 502 with a status URL: the operator decides


@dataclasses.dataclass(slots=True, eq=False)
class HoldReads:
    """Invalidate the page, hold its reads and the client's. → reads_held."""

    token: Token
    entry: Entry


@dataclasses.dataclass(slots=True, eq=False)
class ReleaseReads:
    """The write has ended: the opposite of HoldReads. → reads_released.

    ``response`` may name other pages that are stale now.
    """

    entry: Entry
    response: Any = None


@dataclasses.dataclass(slots=True, eq=False)
class ResetReads:
    """Hold reads for exactly those writes that the journal has as accepted or in progress."""


@dataclasses.dataclass(slots=True, eq=False)
class Append:
    """Store the write, and the send limit if there is one. → appended, refused or unknown."""

    entry: Entry
    send_limit: int | None


@dataclasses.dataclass(slots=True, eq=False)
class Move:
    """Store a quarantined write again at its new position. → appended or move_failed."""

    old: int
    entry: Entry


@dataclasses.dataclass(slots=True, eq=False)
class RaiseLimit:
    """Store the send limit. → limit_raised or limit_failed."""

    limit: int


@dataclasses.dataclass(slots=True, eq=False)
class Load:
    """Read the next accepted writes behind a position. → loaded or load_failed."""

    after: int
    count: int


@dataclasses.dataclass(slots=True, eq=False)
class CheckBody:
    """Check the write's spool file. → checked."""

    entry: Entry


@dataclasses.dataclass(slots=True, eq=False)
class Connect:
    """Connect to the guest; try until it succeeds, or until StopConnecting. → connected"""

    target: Hashable


@dataclasses.dataclass(slots=True, eq=False)
class StopConnecting:
    """Give up what Connect began."""


@dataclasses.dataclass(slots=True, eq=False)
class Close:
    """Close a connection. If ``report`` is set, → lost, or bad_response if one had begun."""

    connection: Hashable
    why: str
    report: bool = False


@dataclasses.dataclass(slots=True, eq=False)
class Send:
    """Log that the write is sent, then send it. → response, bad_response, lost or not_logged."""

    connection: Hashable
    entry: Entry


@dataclasses.dataclass(slots=True, eq=False)
class LogResponse:
    """Write the response to the progress log. A failure costs certainty after a crash only."""

    entry: Entry
    response: Any


@dataclasses.dataclass(slots=True, eq=False)
class Record:
    """Store that the guest has responded, with ``keep`` also what. → recorded or record_failed.

    Perform these in the order given: a response must not be durable before an earlier one, which
    would be sent again after a power cut. ``can_wait``: more follow, and one sync can serve many.
    """

    entry: Entry
    response: Any
    keep: bool
    can_wait: bool


@dataclasses.dataclass(slots=True, eq=False)
class Keep:
    """Store that the response must be kept: the client gets a status URL. → kept."""

    position: int


@dataclasses.dataclass(slots=True, eq=False)
class Quarantine:
    """Store that the operator decides about the write. → quarantined or quarantine_failed."""

    entry: Entry
    state: WriteState
    why: str


@dataclasses.dataclass(slots=True, eq=False)
class Abandon:
    """Quarantine all accepted writes up to a position. → abandoned or abandon_failed."""

    through: int
    why: str
    sent: tuple[int, ...] = ()  # those of them that are in the progress log


@dataclasses.dataclass(slots=True, eq=False)
class Tell:
    """Respond to a client. ``response``: the guest's, with Told.RESPONSE."""

    token: Token
    told: Told
    position: int
    response: Any = None
    why: str = ""


@dataclasses.dataclass(slots=True, eq=False)
class CaughtUp:
    """Few writes are left, and all of them are new. → release, shield or abandon."""


@dataclasses.dataclass(slots=True, eq=False)
class Released:
    """From now on writes may go to the guest directly."""


@dataclasses.dataclass(slots=True, eq=False)
class NotReleased:
    """Writes were left when the time was over. CaughtUp follows again, after a pause."""


Action = (
    HoldReads
    | ReleaseReads
    | ResetReads
    | Append
    | Move
    | RaiseLimit
    | Load
    | CheckBody
    | Connect
    | StopConnecting
    | Close
    | Send
    | LogResponse
    | Record
    | Keep
    | Quarantine
    | Abandon
    | Tell
    | CaughtUp
    | Released
    | NotReleased
)
