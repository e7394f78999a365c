"""What is asked of the tables."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.cipher import CLEAR, Cipher
from nova_cachemig.agent.journal.record import (
    COLUMNS,
    Damaged,
    from_row,
    read_keys,
    response_from_row,
)
from nova_cachemig.agent.journal.schema import KEYS, SERVICES, WRITES
from nova_cachemig.model.write import GuestResponse, HeldWrite, WriteState

_DOUBTFUL = (WriteState.IN_DOUBT, WriteState.RESEND)
_FORGET_AT_ONCE = 1000  # rows a transaction: others wait behind it


@dataclasses.dataclass(frozen=True, slots=True)
class QueueState:
    """Where one service stands in the journal."""

    secret: bytes  # for status URLs
    through: int  # writes up to here may have been sent
    next: int  # the next position
    waiting: int
    waiting_bytes: int
    in_doubt: int


@dataclasses.dataclass(frozen=True, slots=True)
class StoredWrite:
    """One write as it is in the journal, for status URLs and for people."""

    service: str
    position: int
    state: WriteState
    accepted_at: float
    ended_at: float | None
    note: str | None
    write: HeldWrite | None  # None where it is damaged
    answer: GuestResponse | None
    unreadable: str | None = None  # why there is no write, or no answer


@dataclasses.dataclass(frozen=True, slots=True)
class UnreadableWrite:
    """An accepted write that cannot be sent: its record is damaged."""

    service: str
    position: int
    why: str


def queue_state(connection: sa.Connection, service: str) -> QueueState:
    """Where the service stands; makes its row (through = 0) if there is none."""
    row = connection.execute(
        sa.select(SERVICES.c.through, SERVICES.c.secret).where(SERVICES.c.service == service)
    ).first()
    if row is None:
        secret, through = secrets.token_bytes(32), 0
        connection.execute(sa.insert(SERVICES).values(service=service, through=0, secret=secret))
    else:
        secret, through = bytes(row.secret), int(row.through)
    last = connection.execute(
        sa.select(sa.func.max(WRITES.c.position)).where(WRITES.c.service == service)
    ).scalar()
    by_state = {
        state: (int(count), int(size or 0))
        for state, count, size in connection.execute(
            sa.select(WRITES.c.state, sa.func.count(), sa.func.sum(WRITES.c.length))
            .where(
                WRITES.c.service == service,
                WRITES.c.state.in_([state.value for state in (WriteState.ACCEPTED, *_DOUBTFUL)]),
            )
            .group_by(WRITES.c.state)
        )
    }
    waiting_now, size = by_state.get(WriteState.ACCEPTED.value, (0, 0))
    in_doubt = sum(by_state.get(state.value, (0, 0))[0] for state in _DOUBTFUL)
    # positions up to ``through`` may stand in a progress log: they are never given again
    following = max(int(last or 0), through) + 1
    return QueueState(secret, through, following, waiting_now, size, in_doubt)


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
"""A write's row as :func:`waiting` finds it."""
POSITION: Final = COLUMNS.index("position")
"""Where its position is."""


def waiting(connection: sa.Connection, service: str, after: int, limit: int) -> Sequence[WriteRow]:
    """Return up to ``limit`` accepted writes behind position ``after``, in order.

    As rows: to make writes of them takes the interpreter for long, so it is done one by one, by
    :func:`readable`, when each is wanted.
    """
    if connection.dialect.name == "sqlite":  # a third of what it takes by way of SQLAlchemy
        sqlite: sqlite3.Connection = connection.connection.driver_connection  # type: ignore
        return sqlite.execute(_SQLITE_WAITING, (service, after, limit)).fetchall()
    return connection.execute(_WAITING, {"s": service, "after": after, "most": limit}).all()


def readable(row: WriteRow, cipher: Cipher = CLEAR) -> HeldWrite | UnreadableWrite:
    """Return the write of a row that :func:`waiting` has found."""
    return _readable(dict(zip(COLUMNS, row, strict=True)), cipher)


def _readable(row: Any, cipher: Cipher) -> HeldWrite | UnreadableWrite:
    try:
        return from_row(row, cipher)
    except (Damaged, ValueError, TypeError) as exc:
        return UnreadableWrite(row["service"], row["position"], str(exc))


def find(
    connection: sa.Connection, service: str, position: int, cipher: Cipher = CLEAR
) -> StoredWrite | None:
    """Return one write, None where there is none (never was, or no longer kept)."""
    row = (
        connection.execute(
            sa.select(WRITES).where(WRITES.c.service == service, WRITES.c.position == position)
        )
        .mappings()
        .first()
    )
    return None if row is None else stored(row, cipher)


def stored(row: Any, cipher: Cipher = CLEAR) -> StoredWrite:
    """Return what a row says. An answered row has no body any more, so no checksum to check."""
    write: HeldWrite | UnreadableWrite | None = None
    answer, why = None, None
    if row["state"] != WriteState.ANSWERED.value:
        write = _readable(row, cipher)
        why = write.why if isinstance(write, UnreadableWrite) else None
    try:
        answer = response_from_row(row, cipher)
    except (ValueError, TypeError) as exc:
        why = f"the answer to {row['service']}/{row['position']}: {exc}"
    return StoredWrite(
        service=row["service"],
        position=row["position"],
        state=WriteState(row["state"]),
        accepted_at=row["accepted_us"] / 1_000_000,
        ended_at=None if row["ended_us"] is None else row["ended_us"] / 1_000_000,
        note=row["note"],
        write=write if isinstance(write, HeldWrite) else None,
        answer=answer,
        unreadable=why,
    )


def unfinished(connection: sa.Connection) -> dict[str, int]:
    """Return service → writes that wait."""
    rows = connection.execute(
        sa.select(WRITES.c.service, sa.func.count())
        .where(WRITES.c.state == WriteState.ACCEPTED.value)
        .group_by(WRITES.c.service)
    )
    return {str(service): int(count) for service, count in rows}


def spool_names(connection: sa.Connection) -> set[str]:
    """Return the names of all spool files that a record needs."""
    rows = connection.execute(
        sa.select(WRITES.c.spool, WRITES.c.answer_spool, WRITES.c.state).where(
            sa.or_(WRITES.c.spool.is_not(None), WRITES.c.answer_spool.is_not(None))
        )
    )
    names: set[str] = set()
    for spool, answer_spool, state in rows:
        if spool and state != WriteState.ANSWERED.value:
            names.add(spool)
        if answer_spool:
            names.add(answer_spool)
    return names


def forget(connection: sa.Connection, before_us: int) -> list[str]:
    """Take away what ended before ``before_us``; returns the spool files that go with it."""
    rows = connection.execute(
        sa.select(WRITES.c.service, WRITES.c.position, WRITES.c.spool, WRITES.c.answer_spool)
        .where(
            WRITES.c.state.in_([WriteState.ANSWERED.value, WriteState.DISCARDED.value]),
            WRITES.c.ended_us < before_us,
        )
        .limit(_FORGET_AT_ONCE)
    ).all()
    this = (WRITES.c.service == sa.bindparam("s"), WRITES.c.position == sa.bindparam("p"))
    if rows:
        gone = [{"s": row.service, "p": row.position} for row in rows]
        connection.execute(sa.delete(WRITES).where(*this), gone)
    connection.execute(
        sa.delete(KEYS).where(
            KEYS.c.accepted_us < before_us,
            ~sa.exists().where(
                WRITES.c.service == KEYS.c.service, WRITES.c.position == KEYS.c.position
            ),
        )
    )
    return [name for row in rows for name in (row.spool, row.answer_spool) if name]


def to_resend(
    connection: sa.Connection, service: str, cipher: Cipher = CLEAR
) -> list[HeldWrite | UnreadableWrite]:
    """Return what a person wants sent again, in order."""
    rows = connection.execute(
        sa.select(WRITES)
        .where(WRITES.c.service == service, WRITES.c.state == WriteState.RESEND.value)
        .order_by(WRITES.c.position)
    ).mappings()
    return [_readable(row, cipher) for row in rows]


def pending_read_keys(
    connection: sa.Connection, service: str, cipher: Cipher = CLEAR
) -> list[tuple[str, str, str]]:
    """Return host, URL and client of each write that waits."""
    columns = [column for column in WRITES.columns if "body" not in column.name]
    rows = connection.execute(
        sa.select(*columns).where(
            WRITES.c.state == WriteState.ACCEPTED.value, WRITES.c.service == service
        )
    ).mappings()
    found = []
    for row in rows:
        with contextlib.suppress(ValueError, TypeError):  # whoever sends it will say so
            found.append(read_keys(dict(row), cipher))
    return found


def move(connection: sa.Connection, old: int, row: dict[str, Any], at_us: int) -> None:
    """Put a write that a person wants sent again at its new position, once."""
    this = (WRITES.c.service == row["service"], WRITES.c.position == old)
    note = f"sent again as {row['service']}/{row['position']}"
    changed = connection.execute(
        sa.update(WRITES)
        .where(*this, WRITES.c.state == WriteState.RESEND.value)
        .values(state=WriteState.DISCARDED.value, note=note, spool=None, ended_us=at_us)
    )
    if changed.rowcount:
        connection.execute(sa.insert(WRITES), [row])
        connection.execute(
            sa.update(KEYS)
            .where(KEYS.c.service == row["service"], KEYS.c.position == old)
            .values(position=row["position"])
        )


def key_of(connection: sa.Connection, service: str, digest: str) -> tuple[str, int] | None:
    """Return fingerprint and position of the request that came with this key."""
    row = connection.execute(
        sa.select(KEYS.c.fingerprint, KEYS.c.position).where(
            KEYS.c.service == service, KEYS.c.digest == digest
        )
    ).first()
    return None if row is None else (str(row.fingerprint), int(row.position))


def keep_response(connection: sa.Connection, service: str, position: int) -> None:
    """Its client has a status URL from now on."""
    connection.execute(
        sa.update(WRITES)
        .where(WRITES.c.service == service, WRITES.c.position == position)
        .values(wants_later=True)
    )
