"""The machine's records of a write, a client and a connection."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any, Final

# Reasons for clients. The operator's reasons have the details.
CONNECTION_LOST: Final = "the connection to the server was lost before the response was complete"
GIVEN_UP: Final = "the server did not respond in time"
DAMAGED: Final = "the record of the write is damaged"

Token = Hashable
"""Names a request from its head to the end of its body."""


@dataclasses.dataclass(slots=True, eq=False)
class Entry:
    """A write. The first block does not change; the machine sets the rest.

    ``write`` is what the performer sends; the machine does not look into it.
    """

    write: Any
    client: str
    page: Hashable  # the path and query, under all host names of the service
    idempotent: bool
    keyed: bool  # the guest honours keys, and the write has one
    length: int = 0  # bytes of the body
    large: bool = False  # the body is in a spool file
    early: bool = False  # the client gets 202 immediately: its service gives 202 to all
    prefers: bool = False  # the client prefers a 202, unless the guest responds promptly
    conditional: bool = False  # applied once, it may fail its condition (412) the next time
    keep: bool = False  # the response may be asked for later: the client chose the key
    damaged: str | None = None  # why its record cannot be sent
    also: tuple[Any, ...] = ()  # other pages that it changes, known from its head

    position: int = 0
    late: bool = False  # accepted beside writes that went to the guest directly
    token: Token = None  # of the request, until its client has a response or waits
    checked: bool = False  # its spool file is intact
    checking: bool = False
    connection: Connection | None = None
    sent_at: float = 0.0
    gate: int = 0  # the machine's count of gate changes when it was sent
    slow: bool = False  # the guest takes long: writes that no order ties to it may pass
    again: bool = False  # it was sent before, with an unknown outcome
    tries: int = 0  # that failed while the guest was reachable
    failing_since: float = 0.0  # when the first of them failed
    busy_until: float = 0.0  # how long a guest may respond "still processing"
    response: Any = None
    why: str = ""  # it is quarantined: the reason for the operator
    public: str = ""  # and the one for its client

    @property
    def resendable(self) -> bool:
        """Whether it may be sent again although the guest may have applied it.

        A late write is not: a direct write to its page may have been applied meanwhile.
        """
        return self.keyed or (self.idempotent and not self.late)


@dataclasses.dataclass(slots=True, eq=False)
class Client:
    """Waits for the response to a write."""

    token: Token
    deadline: float  # then it gets a status URL


@dataclasses.dataclass(slots=True, eq=False)
class Arrival:
    """A request whose head was taken and whose write is not yet stored."""

    gone: bool = False  # the client has disconnected


@dataclasses.dataclass(slots=True, eq=False)
class Connection:
    """A connection to the guest. Times are those of the events."""

    id: Hashable
    target: Hashable
    last_byte: float  # when the guest last sent something
    waiting_since: float = 0.0  # the first response is due since then
    began_at: float = 0.0  # when the first byte of an incomplete response came; 0: none did
    open: bool = True  # the guest keeps it open, and the agent too
    served: bool = False  # the guest has responded on it
    prompt: bool = False  # the last response was quick
    paused: int = 0  # writes that were in flight at the guest's last pause
    idle_timeout: float | None = None  # seconds, as the guest announced
    in_flight: list[Entry] = dataclasses.field(default_factory=list)
