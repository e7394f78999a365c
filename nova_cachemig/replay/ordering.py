"""The rules of order: which write is sent next, and which ones it may follow on a connection.

Writes are sent in the order of acceptance. Sending one at a time would cost the guest a round trip
and two packets each. So a write is pipelined: it is sent on the same connection behind writes
without a response. A server processes them in their order (RFC 9112, section 9.3.2). If the
connection breaks, it is unknown which of them were applied, and they are sent again in order.
Therefore nothing is pipelined behind a write that must not be sent twice. Such a write itself
follows only writes that the guest recognizes by their keys: a repetition of any other write could
undo it for good. Unless the guest honours keys, nothing is pipelined behind another write to the
same page either, because a repetition would undo the later write for a moment
(:func:`may_pipeline`).

Some writes are sent in parallel on several connections: if the operator allows it (``parallel``),
and past a write whose response takes long (``slow``). Clients cannot observe the order of two
writes while neither has a response, with these exceptions:

* The client that sent both: the writes of one client keep their order.
* A reader of a page to which an idempotent write is sent again after another write. Such writes to
  one page keep their order, so that a repetition never overwrites a later write.
* A client that got 202 and then asks another client to write. Its write is sent alone.
* A client whose connection was cut by a crash: writes accepted before a restart are sent one at a
  time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.state import State


def next_entry(s: State) -> Entry | None:
    """Return the write to send next, None if none may be sent now.

    A write whose acceptance is unknown holds back all later ones.
    """
    first = s.ready[0]
    if s.unknown and first.position > min(s.unknown):
        return None
    if s.limits.parallel == 1:
        slow = _slow(s) if s.blocking else []
        if not slow:
            return first
        return _untied(s, slow) if len(slow) < s.limits.max_slow else None
    if any(must_be_alone(s, entry) for entry in s.blocking.values()):
        return None
    return _untied(s, s.blocking.values()) if len(s.blocking) < s.limits.parallel else None


def holding_up(s: State) -> int:
    """Return the number of writes in progress that the total order has to wait for."""
    blocking = len(s.blocking)
    return blocking - len(_slow(s)) if blocking and s.limits.parallel == 1 else blocking


def _slow(s: State) -> list[Entry]:
    found = []
    for entry in s.blocking.values():  # mostly one: a comprehension costs more than this
        if entry.slow and not must_be_alone(s, entry):
            found.append(entry)
    return found


def _untied(s: State, before: Iterable[Entry]) -> Entry | None:
    """Return the first write that no order ties to those, or to one that waits before it.

    Only such a write can overtake another one.
    """
    ahead = _Ahead()
    for entry in before:
        ahead.add(entry)
    limit = min(s.unknown) if s.unknown else None
    for entry in s.ready[: s.limits.search]:
        if limit is not None and entry.position > limit:
            return None
        if must_be_alone(s, entry):
            return None if ahead else entry
        if not ahead.holds_back(entry):
            return entry
        ahead.add(entry)
    return None


def must_be_alone(s: State, entry: Entry) -> bool:
    """Whether nothing else may be in progress beside it."""
    return entry.early or entry.position <= s.serialized_through or entry.position in s.owed


class _Ahead:
    """Clients and pages of the writes that are before another one."""

    __slots__ = ("_clients", "_pages")

    def __init__(self) -> None:
        self._clients: set[str] = set()
        self._pages: dict[Hashable, bool] = {}  # → whether one of its writes is idempotent

    def __bool__(self) -> bool:
        return bool(self._clients)

    def add(self, entry: Entry) -> None:
        self._clients.add(entry.client)
        self._pages[entry.page] = self._pages.get(entry.page, False) or entry.idempotent

    def holds_back(self, entry: Entry) -> bool:
        """Whether this write must wait for the response to one of them."""
        idempotent = self._pages.get(entry.page)
        return entry.client in self._clients or (
            idempotent is not None and (idempotent or entry.idempotent)
        )


def may_be_in_progress(s: State, entry: Entry) -> bool:
    """Whether the guest may still process an earlier try of it."""
    return entry.again or entry.position <= s.resent_through


def may_pipeline(s: State, entry: Entry, ahead: Sequence[Entry]) -> bool:
    """Whether the write may be sent on the connection on which ``ahead`` are in flight."""
    if entry.large:
        return False
    for other in ahead:
        if not other.resendable or other.large:
            return False
        # If the connection breaks, ``other`` is sent again, perhaps after this one was applied.
        if not other.keyed and (other.page == entry.page or not entry.resendable):
            return False
        # The guest may respond "still processing" to this one, and go on with those behind it.
        known = other.early or other.position in s.owed
        if other.keyed and (may_be_in_progress(s, other) or (other.keep and known)):
            return False
    return True
