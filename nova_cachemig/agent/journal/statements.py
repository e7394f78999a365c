"""The steps that a group commit takes, and the few statements that perform many of them at once."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.record import ANSWER_COLUMNS, COLUMNS
from nova_cachemig.agent.journal.schema import KEYS, SERVICES, WRITES
from nova_cachemig.model.write import HeldWrite, WriteState

Done = Callable[[BaseException | None], Any]


@dataclasses.dataclass(slots=True, eq=False)  # frozen, it takes three times as long to make
class Append:
    """Accept a write; up to ``through`` writes may be sent from now on (None: as before).

    ``row`` is made beforehand, while the thread that commits waits for the disk.
    """

    write: HeldWrite
    row: dict[str, Any]
    through: int | None = None
    key: tuple[str, str] | None = None  # digest, fingerprint: where the client chose a key
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Extend:
    """Writes up to ``through`` may be sent from now on."""

    service: str
    through: int
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The guest has answered. ``row``: the answer; without it nobody can ask for it: the row goes.

    Made beforehand, as an append's is.
    """

    service: str
    position: int
    row: dict[str, Any] | None = None
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SetState:
    """Another state, with the reason for people."""

    service: str
    position: int
    state: WriteState
    at_us: int
    note: str
    done: Done | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Any other statements, which can be performed twice without harm."""

    run: Callable[[sa.Connection], Any]
    done: Done | None = None


Step = Append | Extend | Answered | SetState | Work

_THIS = (WRITES.c.service == sa.bindparam("s"), WRITES.c.position == sa.bindparam("p"))
_INSERT = sa.insert(WRITES)
_ROWS: Final = 64  # that one of SQLite's statements inserts at most
_SQLITE_ROW: Final = f"({', '.join('?' * len(COLUMNS))})"
_SQLITE_END: Final = f"({', '.join('?' * (len(ANSWER_COLUMNS) + 2))})"
_INSERT_KEY = sa.insert(KEYS)
_DELETE_KEY = sa.delete(KEYS).where(
    KEYS.c.service == sa.bindparam("s"), KEYS.c.digest == sa.bindparam("d")
)
_DELETE = sa.delete(WRITES).where(*_THIS)
_ANSWER = (
    sa.update(WRITES)
    .where(*_THIS)
    .values(state=WriteState.ANSWERED.value, body=None)
    .values({name: sa.bindparam(f"a_{name}") for name in ANSWER_COLUMNS})
)
_MARK = (
    sa.update(WRITES)
    .where(*_THIS)
    .values(state=sa.bindparam("st"), ended_us=sa.bindparam("at"), note=sa.bindparam("n"))
)
_EXTEND = (
    sa.update(SERVICES)
    .where(SERVICES.c.service == sa.bindparam("s"), SERVICES.c.through < sa.bindparam("t"))
    .values(through=sa.bindparam("t"))
)


def perform(connection: sa.Connection, steps: Sequence[Step]) -> None:
    """Perform the steps in the connection's transaction: appends first, then what changes rows."""
    appends = [step for step in steps if isinstance(step, Append)]
    if appends:
        _insert(connection, [step.row for step in appends])
        _keys(connection, appends)
    through: dict[str, int] = {}
    for step in steps:
        if isinstance(step, Extend):
            through[step.service] = max(step.through, through.get(step.service, 0))
        elif isinstance(step, Append) and step.through is not None:
            name = step.write.service
            through[name] = max(step.through, through.get(name, 0))
    if through:
        connection.execute(_EXTEND, [{"s": name, "t": top} for name, top in through.items()])
    _record_responses(connection, [step for step in steps if isinstance(step, Answered)])
    _change(connection, steps)


def perform_alone(connection: sa.Connection, steps: Sequence[Step]) -> bool:
    """Commit the steps by one statement, outside of a transaction, where that can be.

    It can for SQLite and new writes, or answers, without anything else, which is what a load of
    writes and a replay bring. The thread lets the interpreter go once then, until all is on disk,
    and the event loop goes on meanwhile. Around each of several statements it would wait for it.
    """
    if connection.dialect.name != "sqlite" or len(steps) > _ROWS:
        return False
    rows = [step.row for step in steps if isinstance(step, Append) and _plain(step)]
    if len(rows) == len(steps):
        _insert(connection, rows)
        return True
    ends = [step for step in steps if isinstance(step, Answered)]
    kept = sum(step.row is not None for step in ends)
    if len(ends) == len(steps) and kept in {0, len(ends)}:
        _record_responses(connection, ends)
        return True
    return False


def _plain(step: Append) -> bool:
    return step.through is None and step.key is None


def _insert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    if connection.dialect.name != "sqlite":
        connection.execute(_INSERT, rows)
        return
    _in_few_statements(connection, _sqlite_insert, [tuple(row.values()) for row in rows])


def _in_few_statements(
    connection: sa.Connection, statement: Callable[[int], str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Have SQLite perform ``statement(n)`` on n rows at a time.

    SQLAlchemy's own ways take two to three times as long a row, which counts on a quick disk, and
    as ``executemany`` they take the interpreter once a row, for which a guest's answer waits.
    """
    sqlite: sqlite3.Connection = connection.connection.driver_connection  # type: ignore
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        sqlite.execute(statement(len(some)), list(itertools.chain.from_iterable(some)))


@functools.cache
def _sqlite_insert(rows: int) -> str:
    return f"INSERT INTO writes ({', '.join(COLUMNS)}) VALUES {', '.join([_SQLITE_ROW] * rows)}"


@functools.cache
def _sqlite_delete(rows: int) -> str:
    # not "(service, position) IN (VALUES ...)": for that SQLite looks at every row of the table
    return (
        f"WITH ends (s, p) AS (VALUES {', '.join(['(?, ?)'] * rows)}) "
        "DELETE FROM writes WHERE rowid IN (SELECT w.rowid FROM ends CROSS JOIN writes AS w "
        "WHERE w.service = ends.s AND w.position = ends.p)"
    )


@functools.cache
def _sqlite_answer(rows: int) -> str:
    """``UPDATE ... FROM``: SQLite 3.33, of 2020."""
    return (
        f"WITH ends ({', '.join(ANSWER_COLUMNS)}, s, p) "
        f"AS (VALUES {', '.join([_SQLITE_END] * rows)}) "
        f"UPDATE writes SET state = '{WriteState.ANSWERED.value}', body = NULL, "
        f"{', '.join(f'{name} = ends.{name}' for name in ANSWER_COLUMNS)} "
        "FROM ends WHERE service = ends.s AND position = ends.p"
    )


def _record_responses(connection: sa.Connection, steps: Sequence[Answered]) -> None:
    gone = [step for step in steps if step.row is None]
    kept = [(step, step.row) for step in steps if step.row is not None]
    if connection.dialect.name == "sqlite":
        these = [(step.service, step.position) for step in gone]
        _in_few_statements(connection, _sqlite_delete, these)
        ends = [(*row.values(), step.service, step.position) for step, row in kept]
        _in_few_statements(connection, _sqlite_answer, ends)
        return
    if gone:
        connection.execute(_DELETE, [{"s": step.service, "p": step.position} for step in gone])
    if kept:
        rows = [
            {"s": step.service, "p": step.position} | {f"a_{name}": row[name] for name in row}
            for step, row in kept
        ]
        connection.execute(_ANSWER, rows)


def _change(connection: sa.Connection, steps: Sequence[Step]) -> None:
    marks = [
        {"s": s.service, "p": s.position, "st": s.state.value, "at": s.at_us, "n": s.note}
        for s in steps
        if isinstance(s, SetState)
    ]
    if marks:
        connection.execute(_MARK, marks)
    for step in steps:
        if isinstance(step, Work):
            step.run(connection)


def _keys(connection: sa.Connection, appends: Sequence[Append]) -> None:
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
    if rows:  # an expired key may be chosen again
        connection.execute(_DELETE_KEY, [{"s": r["service"], "d": r["digest"]} for r in rows])
        connection.execute(_INSERT_KEY, rows)


def appended(connection: sa.Connection, steps: Sequence[Step]) -> set[Step]:
    """Return the appends of ``steps`` that the database has already."""
    there: set[Step] = set()
    for step in steps:
        if isinstance(step, Append):
            query = sa.select(WRITES.c.position).where(*_THIS)
            found = connection.execute(
                query, {"s": step.write.service, "p": step.write.position}
            ).first()
            if found is not None:
                there.add(step)
    return there
