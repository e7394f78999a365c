"""Which writes may be on their way to one guest at a time.

They leave in the order of acceptance. One at a time, each would cost the guest a round trip and two
packets, so a write goes out on the same connection behind those that are not answered yet: a server
deals with them in their order (RFC 9112, section 9.3.2). If the connection breaks, nobody knows
which of them it has applied, and they go out again in their order: nothing goes behind a write that
may not be sent twice, nor, unless keys are honoured, behind another to its URL, which a repetition
would undo for a moment (:func:`follows`).

A guest that takes 100 ms for a write would take ten a second. Where the operator allows it
(``parallel``), writes also go side by side on several connections where nobody can tell their
order: of two writes neither of which is answered nobody can, except

* the client that sent both: one client's writes keep their order;
* whoever reads a URL to which an idempotent write is repeated after another: such writes to one URL
  keep their order, so that a repetition never overwrites a later write;
* a client that got 202 for its write and then asks somebody else to write: a write that may be
  answered before the guest has it goes alone;
* a client whose connection a crash has cut: what was accepted before a restart goes one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import IDEMPOTENT, HeldWrite


class OrderingRules:
    """The writes in flight, by position. For the event loop's thread."""

    def __init__(self, most: int) -> None:
        """``most``: writes at a time; 1 is the total order, whatever the guest does."""
        self._most = most
        self._flying: dict[int, HeldWrite] = {}
        self._alone_through = 0

    def __len__(self) -> int:
        return len(self._flying)

    def alone_through(self, position: int) -> None:
        """What was accepted up to here was found on disk: one at a time."""
        self._alone_through = max(self._alone_through, position)

    def begin(self, write: HeldWrite) -> None:
        """It is on its way."""
        self._flying[write.position] = write

    def end(self, position: int) -> None:
        """It is not any more."""
        self._flying.pop(position, None)

    @property
    def total(self) -> bool:
        """Whether the order is the total order of acceptance."""
        return self._most == 1

    def next(self, waiting: Sequence[HeldWrite], service: Service) -> HeldWrite | None:
        """Which is to go out next, if any may; ``waiting`` is in the order of acceptance."""
        if self.total:
            return waiting[0] if waiting else None
        return next(iter(self.startable(waiting, service)), None)

    def startable(self, waiting: Iterable[HeldWrite], service: Service) -> list[HeldWrite]:
        """Those that may go beside the ones in flight, on other connections.

        A write that must wait is overtaken by those only that no order ties to it.
        """
        chosen: list[HeldWrite] = []
        ahead = _Ahead()
        for other in self._flying.values():
            if self._alone(other, service):
                return chosen
            ahead.add(other)
        for write in waiting:
            if self._alone(write, service):
                return chosen or ([] if ahead else [write])
            if len(self._flying) + len(chosen) >= self._most:
                break
            if not ahead.ties(write):
                chosen.append(write)
            ahead.add(write)
        return chosen

    def _alone(self, write: HeldWrite, service: Service) -> bool:
        early = service.writes is WriteMode.ACCEPT or write.has_status_url
        return early or write.position <= self._alone_through


class _Ahead:
    """The clients and pages of writes that go, or wait, before another."""

    def __init__(self) -> None:
        self._clients: set[str] = set()
        self._pages: dict[tuple[str, str], bool] = {}  # → whether one of the writes is idempotent

    def __bool__(self) -> bool:
        return bool(self._clients)

    def add(self, write: HeldWrite) -> None:
        page = (write.host, write.url)
        self._clients.add(write.client)
        self._pages[page] = self._pages.get(page, False) or write.method in IDEMPOTENT

    def ties(self, write: HeldWrite) -> bool:
        """Whether one of them must have been answered before this may go."""
        idempotent = self._pages.get((write.host, write.url))
        return write.client in self._clients or (
            idempotent is not None and (idempotent or write.method in IDEMPOTENT)
        )


def follows(write: HeldWrite, flying: Sequence[HeldWrite]) -> bool:
    """Whether it may go out on the connection on which these are not answered yet."""
    page = (write.host, write.url)
    return write.body.spool is None and all(
        other.resendable
        and other.body.spool is None
        and (other.honours_keys or (other.host, other.url) != page)
        for other in flying
    )
