"""Bounds the responses that are kept for clients: a budget of bytes for each service.

Above it, bodies are dropped, the oldest first, and those with a status URL last. Status and headers
stay until the write expires.
"""

from __future__ import annotations

import collections
from typing import Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.model.write import WriteState

_DROP_TO: Final = 0.75  # of the budget, so that not every response starts a search
_CHUNK: Final = 500  # bodies per transaction, because other steps wait behind it


class KeptResponses:
    """Counts the bytes of each service, as an upper estimate."""

    def __init__(self, budget: int) -> None:
        """``budget``: bytes for each service."""
        self._budget = budget
        self._bytes: collections.Counter[str] = collections.Counter()
        self._dropping: set[str] = set()

    def load(self, connection: sa.Connection) -> None:
        """Count the responses on disk."""
        rows = connection.execute(
            sa.select(WRITES.c.service, sa.func.sum(WRITES.c.response_length))
            .where(*_HAS_BODY)
            .group_by(WRITES.c.service)
        )
        self._bytes = collections.Counter({str(service): int(size) for service, size in rows})

    def add(self, service: str, size: int) -> bool:
        """Count a response. True: call :meth:`drop` in a transaction, now."""
        self._bytes[service] += size
        if self._bytes[service] <= self._budget or service in self._dropping:
            return False
        self._dropping.add(service)
        return True

    def drop(self, connection: sa.Connection, service: str) -> tuple[int, list[str]]:
        """Drop the oldest bodies over the budget; return the bytes left and the spool files.

        It may be called twice for one :meth:`add`. Call :meth:`dropped` when it is committed.
        """
        rows = connection.execute(
            sa.select(WRITES.c.position, WRITES.c.response_length, WRITES.c.response_spool)
            .where(WRITES.c.service == service, *_HAS_BODY)
            .order_by(WRITES.c.wants_later, WRITES.c.ended_us, WRITES.c.position)
        ).all()
        total = sum(row.response_length for row in rows)
        goal = self._budget * _DROP_TO if total > self._budget else total
        gone = []
        for row in rows[:_CHUNK]:
            if total <= goal:
                break
            total -= row.response_length
            gone.append(row)
        if gone:
            this_write = (WRITES.c.service == service, WRITES.c.position == sa.bindparam("p"))
            connection.execute(
                sa.update(WRITES)
                .where(*this_write)
                .values(response_body=None, response_spool=None),
                [{"p": row.position} for row in gone],
            )
        return total, [row.response_spool for row in gone if row.response_spool]

    def dropped(self, service: str, left: int) -> bool:
        """Count what :meth:`drop` has left. True: call it again, there is more to drop."""
        self._bytes[service] = left
        if left > self._budget:
            return True
        self._dropping.discard(service)
        return False


_HAS_BODY: Final = (
    WRITES.c.state == WriteState.RESPONDED.value,
    WRITES.c.response_length > 0,
    sa.or_(WRITES.c.response_body.is_not(None), WRITES.c.response_spool.is_not(None)),
)
