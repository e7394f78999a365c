"""Where the bodies of guests' responses are kept: in memory within a budget, else in the spool."""

from __future__ import annotations

from typing import Final

from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.model.write import Body

_FLUSH: Final = 1 << 20  # bytes that are written to a file at a time, if memory permits
_LEAST: Final = 4096  # bytes that are kept in memory in any case, and not counted


class _Lease:
    """Bytes of a budget, returned when the body that holds the lease is gone."""

    def __init__(self, budget: MemoryBudget, size: int) -> None:
        self._budget = budget
        self._size = size
        budget.add(size)

    def __del__(self) -> None:
        self._budget.add(-self._size)


class ResponseBodies:
    """Makes the bodies of one service's responses."""

    def __init__(self, spool: Spool, threshold: int, budget: MemoryBudget) -> None:
        """``threshold``: bytes above which a body is in a spool file."""
        self._spool = spool
        self._threshold = threshold
        self._least = min(threshold, _LEAST)
        self.budget = budget

    def fits(self, length: int) -> bool:
        """Whether a body of that many bytes may be in memory now."""
        if length <= self._least:
            return True
        return length <= self._threshold and not self.budget.exceeded

    def in_memory(self, data: bytes) -> Body:
        """Return a body that counts until nothing refers to it."""
        lease = _Lease(self.budget, len(data)) if len(data) > _LEAST else None
        return Body(data=data, length=len(data), lease=lease)

    def upload(self) -> Upload:
        """Begin a body that does not fit into the memory."""
        return Upload(self._spool, _FLUSH, self.budget)
