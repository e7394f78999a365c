"""The operator's decisions about quarantined writes, for ``nova-cachemig-manage journal``.

Every function takes the database engine and works beside a running agent. Encrypted content is
shown if ``cipher`` has its key, and reported as unreadable if not. "Resend" only changes the
write's state. The agent picks it up within seconds, as the newest write of its service: later
writes have been sent already, so it cannot get its old position back.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, DecryptionError
from nova_cachemig.agent.journal.database import cause_of
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.queries import StoredWrite
from nova_cachemig.agent.journal.record import micros
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.agent.journal.spool import CHUNK, Spool
from nova_cachemig.model.write import WriteState

INLINE = 1 << 20
"""Bytes of a body, at most, that :func:`facts` includes."""
QUARANTINED = (WriteState.IN_DOUBT, WriteState.DAMAGED)


def find_all(
    engine: sa.Engine,
    states: tuple[WriteState, ...] = QUARANTINED,
    service: str | None = None,
    cipher: Cipher = CLEAR,
    *,
    after: str | None = None,
) -> Iterator[StoredWrite]:
    """Yield the writes in these states, by service and position. Raises JournalError.

    ``after``: the name of a write; yield those behind it.
    """
    query = (
        sa.select(WRITES)
        .where(WRITES.c.state.in_([state.value for state in states]))
        .order_by(WRITES.c.service, WRITES.c.position)
    )
    if service is not None:
        query = query.where(WRITES.c.service == service)
    if after is not None:
        name, position = _parse(after)
        behind = sa.and_(WRITES.c.service == name, WRITES.c.position > position)
        query = query.where(sa.or_(WRITES.c.service > name, behind))
    try:
        with engine.connect() as connection:
            rows = connection.execution_options(yield_per=100).execute(query).mappings()
            for row in rows:
                yield queries.stored_write(dict(row), cipher)
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc


def show(engine: sa.Engine, name: str, cipher: Cipher = CLEAR) -> StoredWrite:
    """Return one write by its name, ``service/position``. Raises JournalError."""
    service, position = _parse(name)
    try:
        with engine.connect() as connection:
            found = queries.find(connection, service, position, cipher)
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot read the journal's database: {cause_of(exc)}") from exc
    if found is None:
        raise JournalError(
            f"the journal has no write {name}. A write is removed [journal] keep_responses seconds "
            "after its response"
        )
    return found


def resend(engine: sa.Engine, name: str, reason: str, asked_by: str) -> None:
    """Let the agent send a write in doubt again. Raises JournalError.

    ``asked_by`` names the operator; it is kept in the write's note with the ``reason``.
    """
    note = f"{asked_by} wants it sent again. {reason}"
    _decide(engine, name, WriteState.RESEND, (WriteState.IN_DOUBT,), note)


def discard(engine: sa.Engine, name: str, reason: str, asked_by: str) -> None:
    """Discard a quarantined write. Raises JournalError. ``asked_by``: see :func:`resend`."""
    note = f"{asked_by} discarded it. {reason}"
    _decide(engine, name, WriteState.DISCARDED, QUARANTINED, note)


def facts(stored: StoredWrite, *, body: bool = True) -> dict[str, Any]:
    """Return a write as primitives, for ``--json`` and ``export``; its body in base64.

    A body in a spool file, or longer than :data:`INLINE`, is not included: see :func:`chunk`.
    """
    shown: dict[str, Any] = {
        "write": f"{stored.service}/{stored.position}",
        "state": stored.state.value,
        "accepted_at": stored.accepted_at,
        "ended_at": stored.ended_at,
        "note": stored.note,
    }
    if stored.moved_to is not None:
        shown["sent_again_as"] = f"{stored.service}/{stored.moved_to}"
    if stored.unreadable is not None:
        shown["unreadable"] = stored.unreadable
        shown |= {"method": stored.method, "host": stored.host, "length": stored.length}
    write = stored.write
    if write is not None:
        shown |= {
            "method": write.method,
            "host": write.host,
            "url": write.url,
            "client": write.client,
            "idempotency_key": write.key,
            "length": write.body.length,
            "spool": write.body.spool,
        }
        if body:
            shown["headers"] = [list(pair) for pair in write.headers]
            if write.body.spool is None and write.body.length <= INLINE:
                shown["body"] = base64.b64encode(write.body.data).decode()
    if stored.response is not None:
        shown["status"] = stored.response.status
    return shown


def chunk(stored: StoredWrite, spool: Spool, number: int) -> bytes:
    """Return one chunk of a body, from the row or the spool file. Raises JournalError.

    Every chunk is as long as a spool file's, except the last; behind the last there is nothing.
    """
    name = f"{stored.service}/{stored.position}"
    write = stored.write
    if write is None:
        raise JournalError(f"cannot read the body of {name}: {stored.unreadable or 'no body'}")
    if write.body.spool is None:
        return write.body.data[number * CHUNK : (number + 1) * CHUNK]
    try:
        return next(spool.read(write.body.spool, first=number), b"")
    except (OSError, DecryptionError) as exc:
        raise JournalError(f"cannot read the body of {name}: {exc}") from exc


def _parse(name: str) -> tuple[str, int]:
    service, _, position = name.rpartition("/")
    if not service or not position.isdigit():
        raise JournalError(
            f"{name!r} is not the name of a write; expected: SERVICE/POSITION, for instance shop/12"
        )
    return service, int(position)


def _decide(
    engine: sa.Engine, name: str, state: WriteState, allowed: tuple[WriteState, ...], note: str
) -> None:
    service, position = _parse(name)
    found = show(engine, name)
    change = (
        sa.update(WRITES)
        .where(
            WRITES.c.service == service,
            WRITES.c.position == position,
            WRITES.c.state.in_([one.value for one in allowed]),
        )
        .values(
            state=state.value,
            note=f"{found.note or ''}; {note.strip()}",
            ended_us=micros(time.time()),
        )
    )
    try:
        with engine.begin() as connection:
            changed = connection.execute(change).rowcount
    except (sa.exc.SQLAlchemyError, db_exc.DBError) as exc:
        raise JournalError(f"cannot write to the journal's database: {cause_of(exc)}") from exc
    if not changed:
        words = " or ".join(one.value for one in allowed)
        raise JournalError(f"write {name} is {found.state.value}; expected: {words}")
