"""Deletes records that are no longer kept."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.schema import HANDOVERS, KEYS, WRITES
from nova_cachemig.model.write import WriteState

_KEPT_HANDOVERS: Final = 1000
_KEEP_HANDOVERS: Final = 90 * 86400  # seconds
_DELETE_CHUNK: Final = 1000  # rows per transaction, because other steps wait behind it


def delete_writes(connection: sa.Connection, before_us: int) -> list[str]:
    """Delete writes that ended before ``before_us`` (µs); return the names of their spool files.

    A write that was sent again stays as long as its successor, to which its status URL leads.
    """
    successor = WRITES.alias()
    rows = connection.execute(
        sa.select(WRITES.c.service, WRITES.c.position, WRITES.c.spool, WRITES.c.response_spool)
        .where(
            WRITES.c.state.in_([WriteState.RESPONDED.value, WriteState.DISCARDED.value]),
            WRITES.c.ended_us < before_us,
            ~sa.exists().where(
                successor.c.service == WRITES.c.service,
                successor.c.position == WRITES.c.moved_to,
            ),
        )
        .limit(_DELETE_CHUNK)
    ).all()
    this_write = (WRITES.c.service == sa.bindparam("s"), WRITES.c.position == sa.bindparam("p"))
    if rows:
        gone = [{"s": row.service, "p": row.position} for row in rows]
        connection.execute(sa.delete(WRITES).where(*this_write), gone)
    connection.execute(
        sa.delete(KEYS).where(
            KEYS.c.accepted_us < before_us,
            ~sa.exists().where(
                WRITES.c.service == KEYS.c.service, WRITES.c.position == KEYS.c.position
            ),
        )
    )
    return [name for row in rows for name in (row.spool, row.response_spool) if name]


def delete_handovers(connection: sa.Connection, before: float) -> None:
    """Delete finished handovers: all but the newest 1,000, and those of 90 days before ``before``.

    ``before``: UNIX seconds.
    """
    finished = HANDOVERS.c.unfinished.is_(False)
    newest = sa.select(HANDOVERS.c.started).where(finished).order_by(HANDOVERS.c.started.desc())
    last = connection.execute(newest.offset(_KEPT_HANDOVERS).limit(1)).scalar()
    limit = before - _KEEP_HANDOVERS
    if last is not None:
        limit = max(limit, float(last))
    connection.execute(sa.delete(HANDOVERS).where(finished, HANDOVERS.c.started <= limit))
