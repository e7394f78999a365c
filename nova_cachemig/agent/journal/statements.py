"""The steps of a group commit, and the few statements that perform many of them together."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.database import sqlite_connection
from nova_cachemig.agent.journal.record import COLUMNS, RESPONSE_COLUMNS
from nova_cachemig.agent.journal.schema import KEYS, SERVICES, WRITES
from nova_cachemig.model.write import AcceptedWrite, WriteState

Done = Callable[[BaseException | None], Any]


@dataclasses.dataclass(slots=True, eq=False)  # frozen, it takes three times as long to make
class Append:
    """Accept a write. With ``send_limit``, also raise the service's send limit to that position.

    ``row`` is made by the caller, while the committing thread waits for the disk.
    """

    write: AcceptedWrite
    row: dict[str, Any]
    send_limit: int | None = None
    key: tuple[str, str] | None = None  # digest and fingerprint, if the client chose a key
    done: Done | None = None
    withdrawn: Done | None = None  # after AcceptanceUnknown: the row is certainly not there


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Withdraw:
    """Remove an append whose outcome is unknown, so that it cannot appear later."""

    append: Append
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RaiseSendLimit:
    """Writes up to position ``send_limit`` may be sent once this is committed."""

    service: str
    send_limit: int
    done: Done | None = None


@dataclasses.dataclass(slots=True, eq=False)  # as Append
class RecordResponse:
    """Record that the guest has responded, and keep the response if ``row`` has it.

    Without ``row`` no client can ask for the response later, so the write's row is deleted. As for
    an append, the caller makes ``row``.
    """

    service: str
    position: int
    row: dict[str, Any] | None = None
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SetState:
    """Change a write's state. ``note`` gives the operator the reason."""

    service: str
    position: int
    state: WriteState
    at_us: int
    note: str
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Execute:
    """Run any other statements. They must be idempotent: they may be run twice."""

    run: Callable[[sa.Connection], Any]
    done: Done | None = None


Step = Append | Withdraw | RaiseSendLimit | RecordResponse | SetState | Execute

_THIS_WRITE = (WRITES.c.service == sa.bindparam("s"), WRITES.c.position == sa.bindparam("p"))
_INSERT = sa.insert(WRITES)
_MAX_ROWS: Final = 64  # of one SQLite statement
_SQLITE_ROW: Final = f"({', '.join('?' * len(COLUMNS))})"
_SQLITE_RESPONSE: Final = f"({', '.join('?' * (len(RESPONSE_COLUMNS) + 2))})"
_INSERT_KEY = sa.insert(KEYS)
_DELETE_KEY = sa.delete(KEYS).where(
    KEYS.c.service == sa.bindparam("s"), KEYS.c.digest == sa.bindparam("d")
)
_DELETE_KEY_OF_WRITE = sa.delete(KEYS).where(
    KEYS.c.service == sa.bindparam("s"), KEYS.c.position == sa.bindparam("p")
)
_DELETE = sa.delete(WRITES).where(*_THIS_WRITE)
_RECORD_RESPONSE = (
    sa.update(WRITES)
    .where(*_THIS_WRITE)
    .values(state=WriteState.RESPONDED.value, body=None)
    .values({name: sa.bindparam(f"r_{name}") for name in RESPONSE_COLUMNS})
)
_SET_STATE = (
    sa.update(WRITES)
    .where(*_THIS_WRITE)
    .values(state=sa.bindparam("st"), ended_us=sa.bindparam("at"), note=sa.bindparam("n"))
)
_RAISE_SEND_LIMIT = (
    sa.update(SERVICES)
    .where(SERVICES.c.service == sa.bindparam("s"), SERVICES.c.through < sa.bindparam("t"))
    .values(through=sa.bindparam("t"))
)


def perform(connection: sa.Connection, steps: Sequence[Step]) -> None:
    """Perform the steps in the connection's transaction: appends first, then changes of rows."""
    _withdraw(connection, [step.append for step in steps if isinstance(step, Withdraw)])
    appends = [step for step in steps if isinstance(step, Append)]
    if appends:
        _insert(connection, [step.row for step in appends])
        _insert_keys(connection, appends)
    limits: dict[str, int] = {}
    for step in steps:
        if isinstance(step, RaiseSendLimit):
            limits[step.service] = max(step.send_limit, limits.get(step.service, 0))
        elif isinstance(step, Append) and step.send_limit is not None:
            name = step.write.service
            limits[name] = max(step.send_limit, limits.get(name, 0))
    if limits:
        rows = [{"s": name, "t": limit} for name, limit in limits.items()]
        connection.execute(_RAISE_SEND_LIMIT, rows)
    _record_responses(connection, [step for step in steps if isinstance(step, RecordResponse)])
    _set_states(connection, steps)
    for step in steps:
        if isinstance(step, Execute):
            step.run(connection)


def perform_in_one_statement(connection: sa.Connection, steps: Sequence[Step]) -> bool:
    """Commit the steps with one statement, without a transaction. False: these steps need more.

    Possible with SQLite, if all steps are plain appends or all are responses, which is what a load
    of writes and a replay consist of. The thread then releases the interpreter once, until all is
    on disk, while the event loop goes on. Each further statement would wait for the interpreter.
    """
    if connection.dialect.name != "sqlite" or len(steps) > _MAX_ROWS:
        return False
    rows = [step.row for step in steps if isinstance(step, Append) and _is_plain(step)]
    if len(rows) == len(steps):
        _insert(connection, rows)
        return True
    responses = [step for step in steps if isinstance(step, RecordResponse)]
    kept = sum(step.row is not None for step in responses)
    if len(responses) == len(steps) and kept in {0, len(responses)}:
        _record_responses(connection, responses)
        return True
    return False


def _is_plain(step: Append) -> bool:
    return step.send_limit is None and step.key is None


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(_INSERT, rows)
        return
    _execute_in_chunks(connection, _sqlite_insert, [tuple(row.values()) for row in rows])


def _execute_in_chunks(
    connection: sa.Connection, statement: Callable[[int], str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Execute SQLite's ``statement(n)`` for up to 64 rows at a time; n is their number.

    SQLAlchemy takes two to three times as long per row, which matters on a fast disk. Like
    ``executemany``, it also takes the interpreter once per row, and a guest's response waits.
    """
    sqlite = sqlite_connection(connection)
    for start in range(0, len(rows), _MAX_ROWS):
        chunk = rows[start : start + _MAX_ROWS]
        sqlite.execute(statement(len(chunk)), list(itertools.chain.from_iterable(chunk)))


@functools.cache
def _sqlite_insert(rows: int) -> str:
    return f"INSERT INTO writes ({', '.join(COLUMNS)}) VALUES {', '.join([_SQLITE_ROW] * rows)}"


@functools.cache
def _sqlite_delete(rows: int) -> str:
    # Not "(service, position) IN (VALUES ...)": for that SQLite scans the whole table.
    return (
        f"WITH done (s, p) AS (VALUES {', '.join(['(?, ?)'] * rows)}) "
        "DELETE FROM writes WHERE rowid IN (SELECT w.rowid FROM done CROSS JOIN writes AS w "
        "WHERE w.service = done.s AND w.position = done.p)"
    )


@functools.cache
def _sqlite_record_response(rows: int) -> str:
    """``UPDATE ... FROM`` needs SQLite 3.33 (2020)."""
    return (
        f"WITH done ({', '.join(RESPONSE_COLUMNS)}, s, p) "
        f"AS (VALUES {', '.join([_SQLITE_RESPONSE] * rows)}) "
        f"UPDATE writes SET state = '{WriteState.RESPONDED.value}', body = NULL, "
        f"{', '.join(f'{name} = done.{name}' for name in RESPONSE_COLUMNS)} "
        "FROM done WHERE service = done.s AND position = done.p"
    )


def _record_responses(connection: sa.Connection, steps: Sequence[RecordResponse]) -> None:
    not_kept = [step for step in steps if step.row is None]
    kept = [(step, step.row) for step in steps if step.row is not None]
    if connection.dialect.name == "sqlite":
        names = [(step.service, step.position) for step in not_kept]
        _execute_in_chunks(connection, _sqlite_delete, names)
        responses = [(*row.values(), step.service, step.position) for step, row in kept]
        _execute_in_chunks(connection, _sqlite_record_response, responses)
        return
    if not_kept:
        connection.execute(_DELETE, [{"s": step.service, "p": step.position} for step in not_kept])
    if kept:
        rows = [
            {"s": step.service, "p": step.position} | {f"r_{name}": row[name] for name in row}
            for step, row in kept
        ]
        connection.execute(_RECORD_RESPONSE, rows)


def _set_states(connection: sa.Connection, steps: Sequence[Step]) -> None:
    rows = [
        {"s": s.service, "p": s.position, "st": s.state.value, "at": s.at_us, "n": s.note}
        for s in steps
        if isinstance(s, SetState)
    ]
    if rows:
        connection.execute(_SET_STATE, rows)


def _insert_keys(connection: sa.Connection, appends: Sequence[Append]) -> None:
    rows = [
        {
            "service": step.write.service,
            "digest": step.key[0],
            "fingerprint": step.key[1],
            "position": step.write.position,
            "accepted_us": round(step.write.accepted_at * 1_000_000),
        }
        for step in appends
        if step.key is not None
    ]
    if rows:  # a client may use an expired key again
        connection.execute(_DELETE_KEY, [{"s": r["service"], "d": r["digest"]} for r in rows])
        connection.execute(_INSERT_KEY, rows)


def _withdraw(connection: sa.Connection, appends: Sequence[Append]) -> None:
    """Insert what is missing, then delete all of it.

    On a server, the insert waits for a transaction of a lost connection that is still running. A
    mere deletion would not see its rows, and they would appear afterwards.
    """
    for append in appends:
        found = _checksum_of(connection, append)
        if found is None:
            _insert(connection, [append.row])
        if found in {None, append.row["checksum"]}:
            this_write = {"s": append.write.service, "p": append.write.position}
            connection.execute(_DELETE, [this_write])
            connection.execute(_DELETE_KEY_OF_WRITE, [this_write])


def already_appended(connection: sa.Connection, steps: Sequence[Step]) -> set[Step]:
    """Return the appends of ``steps`` that the database has already."""
    return {
        step
        for step in steps
        if isinstance(step, Append) and _checksum_of(connection, step) == step.row["checksum"]
    }


def _checksum_of(connection: sa.Connection, append: Append) -> bytes | None:
    """Return the checksum of the row at the append's position; it may be another write's."""
    name = {"s": append.write.service, "p": append.write.position}
    found = connection.execute(sa.select(WRITES.c.checksum).where(*_THIS_WRITE), name).scalar()
    return None if found is None else bytes(found)
