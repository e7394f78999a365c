"""The rules of order: which writes may be in flight to one guest at the same time.

Writes are sent in the order of acceptance. Sending one at a time would cost the guest a round trip
and two packets each. So a write is pipelined: it is sent on the same connection behind writes
without a response. A server processes them in their order (RFC 9112, section 9.3.2). If the
connection breaks, the agent does not know which of them were applied, and sends them again in
order. Therefore nothing is pipelined behind a write that must not be sent twice. Unless the guest
honours keys, nothing is pipelined behind another write to the same URL either, because a repetition
would undo the later write for a moment (:func:`may_pipeline`).

A guest that takes 100 ms per write would apply only ten per second. If the operator allows it
(``parallel``), writes are also sent in parallel on several connections if clients cannot observe
their order. While neither of two writes has a response, they cannot, with these exceptions:

* The client that sent both: the writes of one client keep their order.
* A reader of a URL to which an idempotent write is sent again after another write. Such writes to
  one URL keep their order, so that a repetition never overwrites a later write.
* A client that got a 202 for its write and then asks another client to write. Its write, which may
  have a response before the guest has it, is sent alone.
* A client whose connection was cut by a crash: writes accepted before a restart are sent one at a
  time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import IDEMPOTENT, AcceptedWrite


class OrderingRules:
    """Knows the writes in flight, by position. Call it in the event loop's thread."""

    def __init__(self, max_in_flight: int) -> None:
        """``max_in_flight``: writes in parallel; 1 means the total order of acceptance."""
        self._max_in_flight = max_in_flight
        self._in_flight: dict[int, AcceptedWrite] = {}
        self._serialized_through = 0

    def __len__(self) -> int:
        return len(self._in_flight)

    def serialize_through(self, position: int) -> None:
        """Send writes up to this position one at a time: they were found on disk."""
        self._serialized_through = max(self._serialized_through, position)

    def start(self, write: AcceptedWrite) -> None:
        """Count the write as in flight."""
        self._in_flight[write.position] = write

    def finish(self, position: int) -> None:
        """Count the write as in flight no longer."""
        self._in_flight.pop(position, None)

    @property
    def is_total(self) -> bool:
        """Whether writes are sent in the total order of acceptance."""
        return self._max_in_flight == 1

    def next_write(
        self, waiting: Sequence[AcceptedWrite], service: Service
    ) -> AcceptedWrite | None:
        """Return the write to send next, None if none may be sent now.

        ``waiting`` is in the order of acceptance.
        """
        if self.is_total:
            return waiting[0] if waiting else None
        return next(iter(self.candidates(waiting, service)), None)

    def candidates(self, waiting: Iterable[AcceptedWrite], service: Service) -> list[AcceptedWrite]:
        """Return the writes that may be sent in parallel to those in flight.

        Only writes that no order ties to it can overtake a write that must wait.
        """
        chosen: list[AcceptedWrite] = []
        ahead = _Ahead()
        for other in self._in_flight.values():
            if self._must_be_alone(other, service):
                return chosen
            ahead.add(other)
        for write in waiting:
            if self._must_be_alone(write, service):
                return chosen or ([] if ahead else [write])
            if len(self._in_flight) + len(chosen) >= self._max_in_flight:
                break
            if not ahead.holds_back(write):
                chosen.append(write)
            ahead.add(write)
        return chosen

    def _must_be_alone(self, write: AcceptedWrite, service: Service) -> bool:
        early_response = service.writes is WriteMode.ACCEPT or write.has_status_url
        return early_response or write.position <= self._serialized_through


class _Ahead:
    """Clients and pages of the writes that are before another one, in flight or waiting."""

    def __init__(self) -> None:
        self._clients: set[str] = set()
        self._pages: dict[tuple[str, str], bool] = {}  # → whether one of its writes is idempotent

    def __bool__(self) -> bool:
        return bool(self._clients)

    def add(self, write: AcceptedWrite) -> None:
        page = (write.host, write.url)
        self._clients.add(write.client)
        self._pages[page] = self._pages.get(page, False) or write.method in IDEMPOTENT

    def holds_back(self, write: AcceptedWrite) -> bool:
        """Whether this write must wait for the response to one of them."""
        idempotent = self._pages.get((write.host, write.url))
        return write.client in self._clients or (
            idempotent is not None and (idempotent or write.method in IDEMPOTENT)
        )


def may_pipeline(write: AcceptedWrite, in_flight: Sequence[AcceptedWrite]) -> bool:
    """Whether the write may be sent on the connection on which these are in flight."""
    page = (write.host, write.url)
    return write.body.spool is None and all(
        other.resendable
        and other.body.spool is None
        and (other.key_honoured or (other.host, other.url) != page)
        for other in in_flight
    )
