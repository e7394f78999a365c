"""Which writes may be on their way to one guest at a time.

They leave in the order of acceptance. One at a time, a guest that takes 100 ms for a write would
take ten a second for as long as its memory is copied, and a hundred writes that waited for it would
wait ten seconds more. So they go side by side, as they would without us, where nobody can tell
their order: of two writes neither of which is answered nobody can, except

* the client that sent both: one client's writes keep their order;
* whoever reads a URL to which an idempotent write is repeated after another: such writes to one URL
  keep their order, so that a repetition never overwrites a later write;
* a client that got 202 for its write and then asks somebody else to write: a write that may be
  answered before the guest has it goes alone;
* a client whose connection a crash has cut: what was accepted before a restart goes one at a time.
"""

from __future__ import annotations

from nova_cachemig.model.service import Service, WriteAnswer
from nova_cachemig.model.write import IDEMPOTENT, HeldWrite


class Traffic:
    """The writes in flight, by position. For the event loop's thread."""

    def __init__(self, most: int) -> None:
        """``most``: writes at a time; 1 is the total order, whatever the guest does."""
        self._most = most
        self._flying: dict[int, HeldWrite] = {}
        self._alone_through = 0

    def __len__(self) -> int:
        return len(self._flying)

    def __contains__(self, position: int) -> bool:
        return position in self._flying

    def alone_through(self, position: int) -> None:
        """What was accepted up to here was found on disk: one at a time."""
        self._alone_through = max(self._alone_through, position)

    def begin(self, write: HeldWrite) -> None:
        """It is on its way."""
        self._flying[write.position] = write

    def end(self, position: int) -> None:
        """It is not any more."""
        self._flying.pop(position, None)

    def admits(self, write: HeldWrite, service: Service) -> bool:
        """Whether it may join those in flight. Asked in the order of acceptance."""
        if not self._flying:
            return True
        if len(self._flying) >= self._most or self._alone(write, service):
            return False
        return not any(
            self._alone(other, service) or _ordered(other, write) for other in self._flying.values()
        )

    def _alone(self, write: HeldWrite, service: Service) -> bool:
        early = service.writes is WriteAnswer.ACCEPT or write.wants_later
        return early or write.position <= self._alone_through


def _ordered(first: HeldWrite, second: HeldWrite) -> bool:
    if first.client == second.client:
        return True
    same_page = (first.host, first.url) == (second.host, second.url)
    return same_page and (first.method in IDEMPOTENT or second.method in IDEMPOTENT)
