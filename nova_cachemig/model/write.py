"""A write that the journal holds: what the client sent, and what the guest said to it."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, values as latin-1 text, in the order in which they came."""

# RFC 9110 section 9.2.2. The safe methods never come to the journal unless a client insists.
IDEMPOTENT = frozenset({"PUT", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE"})


class WriteState(enum.StrEnum):
    """Where one write stands. ``sent`` is not a state on disk: see ``agent/journal``."""

    ACCEPTED = "accepted"  # on disk, in its place in the order, not answered
    ANSWERED = "answered"  # the guest's answer is on disk
    IN_DOUBT = "in_doubt"  # sent, no answer known, not to be sent again unasked: a person decides
    DAMAGED = "damaged"  # its checksum is wrong: never sent, a person decides
    RESEND = "resend"  # was in doubt; a person wants it sent again
    DISCARDED = "discarded"  # a person decided against it, or it went on under another position


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """A body: in memory (``data``) or in a spool file (``spool``, its name), never both."""

    data: bytes = b""
    spool: str | None = None
    length: int = 0  # bytes
    digest: bytes = b""  # of a spool file's content

    @classmethod
    def of(cls, data: bytes) -> Body:
        """Return a body that is in memory."""
        return cls(data=data, length=len(data))


NO_BODY: Final = Body()


@dataclasses.dataclass(frozen=True, slots=True)
class GuestResponse:
    """What the guest said: status, headers without hop-by-hop ones, body."""

    status: int
    headers: Headers = ()
    body: Body = NO_BODY

    def header(self, name: str) -> str | None:
        """Return the first value of the header ``name`` (lower case)."""
        return next((value for key, value in self.headers if key == name), None)


@dataclasses.dataclass(frozen=True, slots=True)
class HeldWrite:
    """One write in the journal. ``position`` is its place in the total order of its service."""

    service: str
    position: int
    accepted_at: float  # UNIX seconds
    method: str
    url: str  # path and query as sent
    host: str
    headers: Headers  # end-to-end headers, without Host and Content-Length
    body: Body
    client: str  # who sent it: the configured cookie, else an address
    key: str | None = None  # Idempotency-Key that goes to the guest
    client_key: bool = False  # the client chose ``key``
    honours_keys: bool = False  # the service honoured keys when this was accepted
    framed: bool = True  # the client sent a body, if only an empty one
    wants_later: bool = False  # the client has (or will get) a 202: keep the answer for it

    @property
    def name(self) -> str:
        """Name for people: ``service/position``."""
        return f"{self.service}/{self.position}"

    @property
    def resendable(self) -> bool:
        """Whether it may be sent again when nobody knows if the guest applied it."""
        return self.method in IDEMPOTENT or (self.honours_keys and self.key is not None)
