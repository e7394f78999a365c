"""Changes of single writes, and of their keys."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from nova_cachemig.agent.journal.schema import KEYS, WRITES
from nova_cachemig.model.write import WriteState


def move(connection: sa.Connection, old: int, row: dict[str, Any], at_us: int) -> None:
    """Insert a write to be sent again at its new position. A second call changes nothing."""
    old_write = (WRITES.c.service == row["service"], WRITES.c.position == old)
    note = f"; sent again as {row['service']}/{row['position']}"
    changed = connection.execute(
        sa.update(WRITES)
        .where(*old_write, WRITES.c.state == WriteState.RESEND.value)
        .values(
            state=WriteState.DISCARDED.value,
            note=sa.func.coalesce(WRITES.c.note, "") + note,
            spool=None,
            ended_us=at_us,
            moved_to=row["position"],
        )
    )
    if changed.rowcount:
        connection.execute(sa.insert(WRITES), [row])
        connection.execute(
            sa.update(KEYS)
            .where(KEYS.c.service == row["service"], KEYS.c.position == old)
            .values(position=row["position"])
        )


def abandon(connection: sa.Connection, service: str, through: int, at_us: int, note: str) -> None:
    """Leave the accepted writes up to position ``through`` to the operator."""
    connection.execute(
        sa.update(WRITES)
        .where(
            WRITES.c.service == service,
            WRITES.c.position <= through,
            WRITES.c.state == WriteState.ACCEPTED.value,
        )
        .values(state=WriteState.IN_DOUBT.value, ended_us=at_us, note=note)
    )


def add_key(connection: sa.Connection, service: str, first: str, digest: str, marks: str) -> None:
    """Let the request with the digest ``first`` also be found by ``digest``.

    ``marks`` replaces the second half of its fingerprint. A second call changes nothing.
    """
    found = sa.select(KEYS).where(KEYS.c.service == service, KEYS.c.digest == first)
    row = connection.execute(found).mappings().first()
    if row is None:
        return
    other = {"digest": digest, "fingerprint": row["fingerprint"][: -len(marks)] + marks}
    connection.execute(sa.delete(KEYS).where(KEYS.c.service == service, KEYS.c.digest == digest))
    connection.execute(sa.insert(KEYS).values({**row, **other}))


def keep_response(connection: sa.Connection, service: str, position: int) -> None:
    """Keep the response once it arrives: the client gets a status URL."""
    connection.execute(
        sa.update(WRITES)
        .where(WRITES.c.service == service, WRITES.c.position == position)
        .values(wants_later=True)
    )
