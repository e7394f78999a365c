"""A write in the journal: the client's request and the guest's response."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Final, Protocol

from nova_cachemig.model.methods import IDEMPOTENT

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, values as latin-1 text, in the order of arrival."""

# RFC 9110, section 13.1; ``If``: RFC 4918, section 10.4.
_CONDITIONS: Final = frozenset({"if-match", "if-none-match", "if-unmodified-since", "if"})

STATUS_PREFIX: Final = "/.well-known/cachemig/writes/"
"""The path of the status URLs, below which no service can have pages of its own."""

# The methods for which a service that honours keys does so: nova_cachemig.guest's default. Others
# (MOVE, COPY, LOCK) pass its middleware as if it were absent.
KEYED_METHODS = frozenset({"POST", "PATCH"})


def is_conditional(headers: Headers) -> bool:
    """Whether the guest applies the request only under a condition.

    Applied once, it may fail the same condition the next time.
    """
    return not _CONDITIONS.isdisjoint([name for name, _ in headers])


class WriteState(enum.StrEnum):
    """The state of a write on disk. "Sent" is not such a state: see ``agent/journal``."""

    ACCEPTED = "accepted"  # on disk, at its position in the order, no response yet
    RESPONDED = "responded"  # the guest has responded, which is on disk
    IN_DOUBT = "in_doubt"  # sent, response unknown, must not be sent twice: the operator decides
    DAMAGED = "damaged"  # wrong checksum, never sent: the operator decides
    RESEND = "resend"  # was in doubt; the operator wants it sent again
    DISCARDED = (
        "discarded"  # the operator discarded it, or let it be sent again at another position
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Body:
    """A body: either in memory (``data``) or in the spool file named ``spool``."""

    data: bytes = b""
    spool: str | None = None
    length: int = 0  # bytes
    digest: bytes = b""  # of the content; set for a request's spool file only
    # Content of a spool file that is open already, and may be deleted meanwhile.
    content: Iterator[bytes] | None = dataclasses.field(default=None, compare=False, repr=False)
    lease: object = dataclasses.field(default=None, compare=False, repr=False)  # of memory

    @classmethod
    def of(cls, data: bytes) -> Body:
        """Return a body in memory."""
        return cls(data=data, length=len(data))


NO_BODY: Final = Body()


NOTE: Final = "cachemig-write"
"""The header field that says what became of a write, or of its response."""
LOST: Final = "responded; "
"""The note of a response begins so if its body is lost."""


class Tail(Protocol):
    """A body of which a part, or all, is still to come from the guest."""

    @property
    def length(self) -> int | None:
        """Bytes of the whole body; None if the guest did not say."""

    async def read(self) -> bytes:
        """Return the next bytes, none at the end. Raises EOFError or OSError if it breaks off."""

    def close(self) -> None:
        """The reader has left."""


@dataclasses.dataclass(frozen=True, slots=True)
class GuestResponse:
    """The guest's response, without hop-by-hop header fields."""

    status: int
    headers: Headers = ()
    body: Body = NO_BODY
    # The whole body, for the client that waits. The journal has no body then, and a note instead.
    tail: Tail | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def body_is_lost(self) -> bool:
        """Whether the guest's response had a body that is not kept."""
        return not self.body.length and (self.header(NOTE) or "").startswith(LOST)

    def without_note(self) -> Headers:
        """Return the header fields without the note that the body is lost."""
        return tuple(
            pair for pair in self.headers if pair[0] != NOTE or not pair[1].startswith(LOST)
        )

    def header(self, name: str) -> str | None:
        """Return the first value of the header field ``name`` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class AcceptedWrite:
    """One write in the journal. ``position`` numbers the writes of a service in order."""

    service: str
    position: int
    accepted_at: float  # UNIX seconds
    method: str
    url: str  # path and query, as the client sent them
    host: str
    headers: Headers  # end-to-end fields, without Host and Content-Length
    body: Body
    client: str  # identifies the client: the configured cookie, else the address
    key: str | None = None  # Idempotency-Key for the guest
    client_key: bool = False  # the client chose ``key``
    honours_keys: bool = False  # the service honoured keys when the write was accepted
    framed: bool = True  # the request had a body, possibly empty
    late: bool = False  # accepted while other writes went to the guest directly
    has_status_url: bool = False  # the client gets a 202 with a status URL: keep the response

    @property
    def name(self) -> str:
        """Name for the operator: ``service/position``."""
        return f"{self.service}/{self.position}"

    @property
    def key_honoured(self) -> bool:
        """Whether the guest recognizes a repetition by the key."""
        return self.honours_keys and self.key is not None and self.method in KEYED_METHODS

    @property
    def resendable(self) -> bool:
        """Whether it may be sent again although the guest may have applied it.

        A late write is not: a direct write to its page may have been applied meanwhile.
        """
        return self.key_honoured or (self.method in IDEMPOTENT and not self.late)
