"""Queries on the tables."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.cipher import CLEAR, Cipher
from nova_cachemig.agent.journal.database import sqlite_connection
from nova_cachemig.agent.journal.record import (
    COLUMNS,
    Damaged,
    barrier_keys,
    from_row,
    response_from_row,
)
from nova_cachemig.agent.journal.schema import KEYS, SERVICES, WRITES
from nova_cachemig.model.write import AcceptedWrite, GuestResponse, WriteState

_IN_DOUBT = (WriteState.IN_DOUBT, WriteState.RESEND)


@dataclasses.dataclass(frozen=True, slots=True)
class QueueState:
    """The journal's state of one service."""

    secret: bytes  # for status URLs
    send_limit: int  # writes up to this position may have been sent
    next: int  # the next free position
    waiting: int  # writes
    waiting_bytes: int
    in_doubt: int


@dataclasses.dataclass(frozen=True, slots=True)
class StoredWrite:
    """One write as it is in the journal, for status URLs and for the operator."""

    service: str
    position: int
    state: WriteState
    accepted_at: float
    ended_at: float | None
    note: str | None
    write: AcceptedWrite | None  # None if it is damaged, or the guest has responded
    response: GuestResponse | None
    unreadable: str | None = None  # why the write or the response is missing
    moved_to: int | None = None  # the position at which it was sent again
    # These are readable without a key.
    method: str = ""
    host: str = ""
    length: int = 0  # bytes of the body


@dataclasses.dataclass(frozen=True, slots=True)
class UnreadableWrite:
    """An accepted write that cannot be sent: its record is damaged."""

    service: str
    position: int
    why: str


def queue_state(connection: sa.Connection, service: str) -> QueueState:
    """Return the state of a service. Inserts its row, with send limit 0, if there is none."""
    row = connection.execute(
        sa.select(SERVICES.c.through, SERVICES.c.secret).where(SERVICES.c.service == service)
    ).first()
    if row is None:
        secret, send_limit = secrets.token_bytes(32), 0
        connection.execute(sa.insert(SERVICES).values(service=service, through=0, secret=secret))
    else:
        secret, send_limit = bytes(row.secret), int(row.through)
    last = connection.execute(
        sa.select(sa.func.max(WRITES.c.position)).where(WRITES.c.service == service)
    ).scalar()
    by_state = {
        state: (int(count), int(size or 0))
        for state, count, size in connection.execute(
            sa.select(WRITES.c.state, sa.func.count(), sa.func.sum(WRITES.c.length))
            .where(
                WRITES.c.service == service,
                WRITES.c.state.in_([state.value for state in (WriteState.ACCEPTED, *_IN_DOUBT)]),
            )
            .group_by(WRITES.c.state)
        )
    }
    waiting_now, size = by_state.get(WriteState.ACCEPTED.value, (0, 0))
    in_doubt = sum(by_state.get(state.value, (0, 0))[0] for state in _IN_DOUBT)
    # Positions up to the send limit may be in a progress log: they are never used again.
    following = max(int(last or 0), send_limit) + 1
    return QueueState(secret, send_limit, following, waiting_now, size, in_doubt)


def secret(connection: sa.Connection, service: str) -> bytes | None:
    """Return the secret of a service's status URLs; None for a service without writes so far."""
    query = sa.select(SERVICES.c.secret).where(SERVICES.c.service == service)
    found = connection.execute(query).scalar()
    return None if found is None else bytes(found)


_WAITING = (
    sa.select(*(WRITES.c[name] for name in COLUMNS))
    .where(
        WRITES.c.service == sa.bindparam("s"),
        WRITES.c.position > sa.bindparam("after"),
        WRITES.c.state == WriteState.ACCEPTED.value,
    )
    .order_by(WRITES.c.position)
    .limit(sa.bindparam("most"))
)
_SQLITE_WAITING: Final = (
    f"SELECT {', '.join(COLUMNS)} FROM writes WHERE service = ? AND position > ? AND state = "
    f"'{WriteState.ACCEPTED.value}' ORDER BY position LIMIT ?"
)
WriteRow = Sequence[Any]
"""A write's row as :func:`waiting` returns it."""
POSITION: Final = COLUMNS.index("position")
"""Index of the position in such a row."""


def waiting(connection: sa.Connection, service: str, after: int, limit: int) -> Sequence[WriteRow]:
    """Return up to ``limit`` accepted writes behind position ``after``, in order, as rows.

    Parsing a page would hold the interpreter for long. So the caller parses each row when it needs
    it, with :func:`write_from_row`.
    """
    if connection.dialect.name == "sqlite":  # a third of the time that SQLAlchemy takes
        sqlite = sqlite_connection(connection)
        return sqlite.execute(_SQLITE_WAITING, (service, after, limit)).fetchall()
    return connection.execute(_WAITING, {"s": service, "after": after, "most": limit}).all()


def write_from_row(row: WriteRow, cipher: Cipher = CLEAR) -> AcceptedWrite | UnreadableWrite:
    """Return the write of a row of :func:`waiting`."""
    return _parse(dict(zip(COLUMNS, row, strict=True)), cipher)


def _parse(row: Any, cipher: Cipher) -> AcceptedWrite | UnreadableWrite:
    try:
        return from_row(row, cipher)
    except (Damaged, ValueError, TypeError) as exc:
        return UnreadableWrite(row["service"], row["position"], str(exc))


def find(
    connection: sa.Connection, service: str, position: int, cipher: Cipher = CLEAR
) -> StoredWrite | None:
    """Return one write; None if it never existed or is no longer kept."""
    row = (
        connection.execute(
            sa.select(WRITES).where(WRITES.c.service == service, WRITES.c.position == position)
        )
        .mappings()
        .first()
    )
    return None if row is None else stored_write(row, cipher)


def stored_write(row: Any, cipher: Cipher = CLEAR) -> StoredWrite:
    """Return a row's content. After the response, the body is gone: the checksum is ignored."""
    write: AcceptedWrite | UnreadableWrite | None = None
    response, why = None, None
    if row["state"] != WriteState.RESPONDED.value:
        write = _parse(row, cipher)
        why = write.why if isinstance(write, UnreadableWrite) else None
    try:
        response = response_from_row(row, cipher)
    except (ValueError, TypeError) as exc:
        why = f"the response to {row['service']}/{row['position']}: {exc}"
    return StoredWrite(
        service=row["service"],
        position=row["position"],
        state=WriteState(row["state"]),
        accepted_at=row["accepted_us"] / 1_000_000,
        ended_at=None if row["ended_us"] is None else row["ended_us"] / 1_000_000,
        note=row["note"],
        write=write if isinstance(write, AcceptedWrite) else None,
        response=response,
        unreadable=why,
        moved_to=row["moved_to"],
        method=row["method"],
        host=row["host"],
        length=row["length"],
    )


def unfinished(connection: sa.Connection) -> dict[str, int]:
    """Return service → number of waiting writes."""
    rows = connection.execute(
        sa.select(WRITES.c.service, sa.func.count())
        .where(WRITES.c.state == WriteState.ACCEPTED.value)
        .group_by(WRITES.c.service)
    )
    return {str(service): int(count) for service, count in rows}


def spool_names(connection: sa.Connection) -> set[str]:
    """Return the names of the spool files that records need."""
    rows = connection.execute(
        sa.select(WRITES.c.spool, WRITES.c.response_spool, WRITES.c.state).where(
            sa.or_(WRITES.c.spool.is_not(None), WRITES.c.response_spool.is_not(None))
        )
    )
    names: set[str] = set()
    for spool, response_spool, state in rows:
        if spool and state != WriteState.RESPONDED.value:
            names.add(spool)
        if response_spool:
            names.add(response_spool)
    return names


def services_to_resend(connection: sa.Connection) -> list[str]:
    """Return the services with writes that the operator wants sent again."""
    query = sa.select(WRITES.c.service.distinct()).where(WRITES.c.state == WriteState.RESEND.value)
    return [str(row[0]) for row in connection.execute(query)]


def to_resend(
    connection: sa.Connection, service: str, cipher: Cipher = CLEAR
) -> list[AcceptedWrite | UnreadableWrite]:
    """Return the writes that the operator wants sent again, in order."""
    rows = connection.execute(
        sa.select(WRITES)
        .where(WRITES.c.service == service, WRITES.c.state == WriteState.RESEND.value)
        .order_by(WRITES.c.position)
    ).mappings()
    return [_parse(row, cipher) for row in rows]


def waiting_barrier_keys(
    connection: sa.Connection, service: str, cipher: Cipher = CLEAR
) -> list[tuple[int, str, str, str, tuple[str, ...]]]:
    """Return position, and the keys of the read barrier, of each waiting write."""
    columns = [column for column in WRITES.columns if "body" not in column.name]
    rows = connection.execute(
        sa.select(*columns).where(
            WRITES.c.state == WriteState.ACCEPTED.value, WRITES.c.service == service
        )
    ).mappings()
    found = []
    for row in rows:
        with contextlib.suppress(ValueError, TypeError):  # damaged: sending it reports that
            found.append((int(row["position"]), *barrier_keys(dict(row), cipher)))
    return found


def find_key(connection: sa.Connection, service: str, digest: str) -> tuple[str, int] | None:
    """Return fingerprint and position of the request that first used this key."""
    row = connection.execute(
        sa.select(KEYS.c.fingerprint, KEYS.c.position).where(
            KEYS.c.service == service, KEYS.c.digest == digest
        )
    ).first()
    return None if row is None else (str(row.fingerprint), int(row.position))
