"""What a group commit does to SQLite, by as few steps of statements as possible.

The driver lets go of the interpreter's lock for each step and may wait for it after each, up to
5 ms while the event loop is busy. So many rows share a statement, and nothing goes by way of
SQLAlchemy here, which takes two to three times as long a row. Other databases are asked by
SQLAlchemy's statements (``statements.py``), which mean the same.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from nova_cachemig.agent.journal.record import COLUMNS

_AT_ONCE: Final = (64, 16, 4, 1)  # rows a statement; each has its own, which the driver keeps ready


def is_sqlite(connection: sa.Connection) -> bool:
    """Whether this module's functions are for this database."""
    return connection.dialect.name == "sqlite"


def _driver(connection: sa.Connection) -> sqlite3.Connection:
    found = connection.connection.driver_connection
    assert isinstance(found, sqlite3.Connection)
    return found


def begin(connection: sa.Connection) -> sa.RootTransaction:
    """Begin a transaction of any database."""
    if is_sqlite(connection):
        # oslo.db does it by way of SQLAlchemy: a tenth of a whole group commit
        _driver(connection).execute("BEGIN")
        connection.info["in_transaction"] = True  # oslo.db's own mark, so it leaves it at that
    return connection.begin()


def insert(connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of ``writes`` as ``record.to_row`` makes them."""
    driver, at = _driver(connection), 0
    for most, statement in _INSERT.items():
        while len(rows) - at >= most:
            some = (row.values() for row in rows[at : at + most])
            driver.execute(statement, list(itertools.chain.from_iterable(some)))
            at += most


def delete(connection: sa.Connection, names: Iterable[tuple[str, int]]) -> None:
    """Take away rows of ``writes`` by service and position."""
    # SQLite finds no index for a list of pairs
    for service, group in itertools.groupby(sorted(names), key=lambda name: name[0]):
        positions = [position for _, position in group]
        driver = _driver(connection)
        for most, statement in _DELETE.items():
            while len(positions) >= most:
                driver.execute(statement, [service, *positions[:most]])
                del positions[:most]


_ROW: Final = f"({', '.join('?' * len(COLUMNS))})"
_INSERT: Final = {
    most: f"INSERT INTO writes ({', '.join(COLUMNS)}) VALUES {', '.join([_ROW] * most)}"
    for most in _AT_ONCE
}
_DELETE: Final = {
    most: f"DELETE FROM writes WHERE service = ? AND position IN ({', '.join('?' * most)})"
    for most in _AT_ONCE
}
