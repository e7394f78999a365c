"""Classifies the database's errors: certain failures, passing ones, unknown outcomes."""

from __future__ import annotations

import sqlite3
from typing import Final

import sqlalchemy as sa
from oslo_db import exception as db_exc

ERRORS: Final = (db_exc.DBError, sa.exc.SQLAlchemyError, sqlite3.Error, OSError)
"""The errors of a database and its connection."""

# Failures that may pass without a change: a server that restarts, a full disk, a deadlock.
_TRANSIENT: Final = (
    db_exc.DBConnectionError,
    db_exc.DBDeadlock,
    sa.exc.OperationalError,
    sqlite3.OperationalError,
    OSError,
)
# SQLite's result codes after which the log has no valid commit frame. FULL: a frame before the end
# of the transaction was not written. After an I/O error the frames may be whole, only not synced.
_DID_NOTHING: Final = frozenset({
    sqlite3.SQLITE_ERROR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
})  # fmt: skip


class OutcomeUnknown(Exception):
    """COMMIT failed, and it may have succeeded on disk nevertheless."""

    def __init__(self, inner_exception: BaseException) -> None:
        super().__init__()
        self.inner_exception = inner_exception


class Unreachable(OSError):
    """No connection can be made: a server that restarts refuses it, or is not ready."""

    def __init__(self, inner_exception: BaseException) -> None:
        super().__init__()
        self.inner_exception = inner_exception


def is_transient(exc: BaseException) -> bool:
    """Whether the same steps may succeed later."""
    return isinstance(exc, _TRANSIENT)


def is_connection_lost(exc: BaseException) -> bool:
    """Whether the database is unreachable."""
    return isinstance(exc, (db_exc.DBConnectionError, Unreachable))


def is_duplicate(exc: BaseException) -> bool:
    """Whether a row was there already."""
    return isinstance(exc, (db_exc.DBDuplicateEntry, sqlite3.IntegrityError))


def sqlite_did_nothing(exc: BaseException) -> bool:
    """Whether nothing of a failed commit of SQLite can appear, not even after a restart."""
    while True:
        inner = getattr(exc, "inner_exception", None) or getattr(exc, "orig", None)
        if not isinstance(inner, BaseException):
            break
        exc = inner
    if isinstance(exc, sqlite3.Error):
        code = getattr(exc, "sqlite_errorcode", None)
        if code is not None:
            return code & 0xFF in _DID_NOTHING
        return not isinstance(exc, sqlite3.OperationalError)  # the values do not fit: not executed
    return isinstance(exc, (ValueError, TypeError, OverflowError))
