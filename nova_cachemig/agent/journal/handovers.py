"""Handovers on disk, in the journal's database: implements the port ``HandoverStore``."""

from __future__ import annotations

import json
import logging

import sqlalchemy as sa

from nova_cachemig.agent.journal.schema import HANDOVERS
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.handover import HandoverId, HandoverRecord

LOG = logging.getLogger(__name__)


class JournalHandoverStore:
    """Stores handovers. The journal must be open."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def save(self, record: HandoverRecord, *, replaces: HandoverId | None = None) -> None:
        """Insert or update a handover. It is durable when this returns.

        ``replaces``: the id under which it was saved before.
        """
        row = {
            "instance": record.id.instance,
            "request": record.id.request,
            "started": record.started,
            "unfinished": record.outcome is None,
            "record": json.dumps(record.to_wire()),
        }
        where = _named(record.id)

        def work(connection: sa.Connection) -> None:
            if replaces is not None:
                connection.execute(sa.delete(HANDOVERS).where(*_named(replaces)))
            if not connection.execute(sa.select(HANDOVERS.c.started).where(*where)).first():
                connection.execute(sa.insert(HANDOVERS), [row])
            else:
                connection.execute(sa.update(HANDOVERS).where(*where).values(row))

        await self._journal.run(work)

    async def unfinished(self) -> list[HandoverRecord]:
        """Return the handovers without an outcome, the oldest first."""
        query = (
            sa.select(HANDOVERS.c.record)
            .where(HANDOVERS.c.unfinished.is_(True))
            .order_by(HANDOVERS.c.started)
        )
        return await self._journal.read(lambda connection: _records(connection, query))

    async def newest(self, limit: int) -> list[HandoverRecord]:
        """Return up to ``limit`` handovers, the newest first."""
        query = sa.select(HANDOVERS.c.record).order_by(HANDOVERS.c.started.desc()).limit(limit)
        return await self._journal.read(lambda connection: _records(connection, query))


def _named(handover: HandoverId) -> tuple[sa.ColumnElement[bool], ...]:
    return HANDOVERS.c.instance == handover.instance, HANDOVERS.c.request == handover.request


def _records(connection: sa.Connection, query: sa.Select[tuple[str]]) -> list[HandoverRecord]:
    records = []
    for (text,) in connection.execute(query):
        try:
            records.append(HandoverRecord.from_wire(json.loads(text)))
        except (KeyError, TypeError, ValueError) as exc:
            LOG.error("Ignoring a damaged handover record (%s): %.200s", exc, text)
    return records
