"""The database's engine, by oslo.db: SQLite unless a URL says otherwise."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import engines
from sqlalchemy import event

from nova_cachemig.agent.journal.errors import JournalError

# Pages of the write-ahead log (4 KiB each) after which SQLite copies it into the database file.
# The default of 1000 does that every few hundred milliseconds under load.
_CHECKPOINT_PAGES = 4000


def url_for(connection: str | None, state_dir: Path) -> str:
    """Return the SQLAlchemy URL: the operator's, else a SQLite file in ``state_dir``."""
    return connection or f"sqlite:///{state_dir / 'journal.sqlite'}"


def create_engine(url: str) -> sa.Engine:
    """Connect. Raises JournalError with the database's reason."""
    try:
        # pre-ping would cost a round trip a commit; a lost connection shows anyway (writer.py)
        engine = engines.create_engine(
            url, max_retries=0, thread_checkin=False, mysql_sql_mode="TRADITIONAL"
        )
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _durable_sqlite)
        with engine.connect():
            return engine
    except (db_exc.DBError, sa.exc.SQLAlchemyError, ImportError) as exc:
        shown = sa.make_url(url).render_as_string(hide_password=True)
        raise JournalError(f"The journal's database {shown} cannot be opened: {exc}") from exc


def _durable_sqlite(dbapi: Any, _record: Any) -> None:
    # FULL: in WAL mode every commit is synced; NORMAL would lose the last ones at a power failure
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
        "busy_timeout=10000",
        # what is deleted is not zeroed where that takes a write of its own: the log keeps it anyway
        "secure_delete=FAST",
        "cache_size=-8192",  # KiB; memory stays flat with a long queue
    ):
        dbapi.execute(f"PRAGMA {pragma}")


def begin(connection: sa.Connection) -> sa.RootTransaction:
    """Begin a transaction, to be used as ``connection.begin()`` is."""
    if connection.dialect.name == "sqlite":
        # oslo.db does it by way of SQLAlchemy, which takes a tenth of a whole group commit
        sqlite: sqlite3.Connection = connection.connection.driver_connection  # type: ignore
        sqlite.execute("BEGIN")
        connection.info["in_transaction"] = True  # oslo.db's own mark, so it leaves it at that
    return connection.begin()
