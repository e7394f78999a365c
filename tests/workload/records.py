"""The records of clients and guests. All times are of the node's one monotonic clock."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Iterable, Sequence


class Outcome(enum.StrEnum):
    """The result of one try of a write for its client."""

    GUEST = "guest"  # the guest's whole response
    ACCEPTED = "accepted"  # 202 of the journal
    DOUBT = "doubt"  # 502, 504, or 409 for a repetition: a status URL says more
    REFUSED = "refused"  # not accepted by this try: 503, 413, 422, …
    UNKNOWN = "unknown"  # 502 or 504 without a status URL, or a response that was cut
    DROPPED = "dropped"  # the connection ended without a response
    LEFT = "left"  # the client left before the response
    STUCK = "stuck"  # no response within the client's patience


FINAL = frozenset({Outcome.GUEST, Outcome.ACCEPTED})


@dataclasses.dataclass(slots=True)
class Try:
    """One request for a write. ``whole``: the client has sent all of it.

    ``reused``: on a connection with an earlier response.
    """

    sent_at: float
    done_at: float = 0.0
    outcome: Outcome = Outcome.STUCK
    status: int = 0
    whole: bool = False
    detail: str = ""
    manner: str = ""
    reused: bool = False


@dataclasses.dataclass(slots=True)
class Write:
    """A write as its client sees it. ``location``: its status URL, which says ``state``."""

    id: str
    client: str
    service: str
    method: str
    url: str
    keyed: bool = False
    tries: list[Try] = dataclasses.field(default_factory=list)
    location: str | None = None
    promised: bool = False  # the location came with a 202
    state: str | None = None


@dataclasses.dataclass(slots=True)
class Read:
    """A read with a response that was whole. ``version``: of the page."""

    client: str
    service: str
    url: str
    sent_at: float
    done_at: float
    version: int
    source: str = ""  # Cache-Status, for the report


@dataclasses.dataclass(slots=True)
class Reception:
    """A guest has received a whole write. ``via``: "journal" or "edge".

    ``after``: the way of the write before it on its connection; empty: it is the first one.
    """

    id: str
    write: str
    at: float
    via: str
    intact: bool
    way: str
    after: str = ""
    changes: list[tuple[str, int]] | None = None  # URL, version; None: it did not apply it
    applied_at: float = 0.0
    said_at: float | None = None  # the response was sent


@dataclasses.dataclass(slots=True)
class GuestLog:
    """``receptions`` in the order of arrival, ``applied`` in the order of application."""

    receptions: list[Reception]
    applied: list[Reception]
    starts: list[float]
    early: set[str]  # writes to which the guest has responded before it had their body


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """``quarantined``: ids that are listed for the operator. Intervals: ``(from, to)``.

    ``total_order``: [journal] parallel is 1. ``agent_away``: the agent was killed or restarted.
    ``guest_away``: the guest's process was dead.
    """

    writes: Sequence[Write]
    reads: Sequence[Read]
    guest: GuestLog
    quarantined: frozenset[str]
    honours_keys: bool
    total_order: bool = True
    agent_away: Sequence[tuple[float, float]] = ()
    guest_away: Sequence[tuple[float, float]] = ()

    def agent_was_away(self, since: float, until: float) -> bool:
        """Whether the agent was away at some instant between."""
        return any(low <= until and high >= since for low, high in self.agent_away)


def story(write: Write) -> str:
    """Return a write as a sentence."""
    tries = ", ".join(
        f"{one.manner} {one.outcome} {one.status or ''} {one.sent_at:.3f}-{one.done_at:.3f} "
        f"{one.detail[:160]}"
        for one in write.tries
    )
    return f"{write.method} {write.url} of {write.service}: {tries}; status URL says {write.state}"


def parse(lines: Iterable[str]) -> GuestLog:
    """Parse the log that :mod:`tests.workload.guest` writes."""
    found: dict[str, Reception] = {}
    applied: list[Reception] = []
    starts: list[float] = []
    early: set[str] = set()
    for line in lines:
        at, kind, *facts = json.loads(line)
        if kind == "up":
            starts.append(at)
        elif kind == "early":
            early.add(facts[0])
        elif kind == "got":
            reception, write, *more = facts
            found[reception] = Reception(reception, write, at, *more)
        elif kind == "did":
            one = found[facts[0]]
            one.changes = [(url, version) for url, version, _ in facts[4]]
            one.applied_at = at
            applied.append(one)
        elif kind == "said":
            found[facts[0]].said_at = at
    return GuestLog(list(found.values()), applied, starts, early)
