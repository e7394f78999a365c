"""The database engine, from oslo.db: SQLite unless the operator configures a URL."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Any, Final, cast

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import engines
from sqlalchemy import event

from nova_cachemig.agent.journal.errors import JournalError

LOG = logging.getLogger(__name__)

# Pages (4 KiB each) of the write-ahead log after which SQLite checkpoints it into the database
# file. The default of 1000 does so every few hundred milliseconds under load.
_CHECKPOINT_PAGES = 4000
# Arguments of the drivers. In seconds, except tcp_user_timeout: milliseconds without the peer's
# acknowledgement. PyMySQL's also limit one statement, and an upgrade may take a while.
_TIMEOUTS: Final[dict[str, dict[str, int]]] = {
    "psycopg2": {"connect_timeout": 5, "tcp_user_timeout": 10_000, "keepalives_idle": 10,
                 "keepalives_interval": 5, "keepalives_count": 2},
    "pymysql": {"connect_timeout": 5, "read_timeout": 60, "write_timeout": 60},
}  # fmt: skip
_CAUSE_LENGTH = 200  # characters of an error's text


def url_for(connection: str | None, state_dir: Path) -> str:
    """Return the SQLAlchemy URL: the operator's, else a SQLite file in ``state_dir``."""
    return connection or f"sqlite:///{state_dir / 'journal.sqlite'}"


def make_private(state_dir: Path) -> None:
    """Let only the agent's account read the SQLite file, which holds what users have sent.

    SQLite gives its write-ahead log the mode of the database file. Raises OSError.
    """
    path = state_dir / "journal.sqlite"
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for found in (path, *state_dir.glob("journal.sqlite-*")):
        found.chmod(0o600)


def create_engine(url: str) -> sa.Engine:
    """Return the engine after a test connection. Raises JournalError with the reason."""
    try:
        # Pre-ping would cost a round trip per commit; committer.py handles lost connections.
        engine = engines.create_engine(
            url, max_retries=0, thread_checkin=False, mysql_sql_mode="TRADITIONAL"
        )
        # Errors and SQLAlchemy's debug log would show cookies, Authorization and bodies.
        engine.hide_parameters = True
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _durable_sqlite)
        event.listen(engine, "do_connect", _limit_waits)
        with engine.connect():
            return engine
    except (db_exc.DBError, sa.exc.SQLAlchemyError, ImportError) as exc:
        shown = sa.make_url(url).render_as_string(hide_password=True)
        remedy = ""
        if isinstance(exc, ImportError):
            remedy = "; install the driver that [journal] connection names (psycopg2, PyMySQL)"
        raise JournalError(
            f"the journal's database {shown} cannot be opened: {cause_of(exc)}{remedy}"
        ) from exc


def cause_of(exc: BaseException) -> str:
    """Return the database's reason in one line, without the statement and without any row.

    The texts of SQLAlchemy and oslo.db contain the statement. PostgreSQL's further lines may
    contain the row.
    """
    while True:
        inner = getattr(exc, "inner_exception", None) or getattr(exc, "orig", None)
        if not isinstance(inner, BaseException) or inner is exc:
            break
        exc = inner
    if len(exc.args) > 1 and isinstance(exc.args[0], int) and not isinstance(exc, OSError):
        text = f"{exc.args[1]} (error {exc.args[0]})"  # PyMySQL's
    else:
        text = str(exc)
    first = text.strip().partition("\n")[0]
    return f"{first[:_CAUSE_LENGTH] or 'no reason given'} ({type(exc).__name__})"


def _limit_waits(dialect: sa.Dialect, _record: Any, _args: Any, parameters: Any) -> None:
    """Let a server that has vanished from the network be noticed; the URL may say otherwise."""
    for name, value in _TIMEOUTS.get(dialect.driver, {}).items():
        parameters.setdefault(name, value)


def _durable_sqlite(dbapi: Any, _record: Any) -> None:
    # FULL syncs every commit in WAL mode; NORMAL would lose the last ones in a power failure.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        f"wal_autocheckpoint={_CHECKPOINT_PAGES}",
        "busy_timeout=10000",
        # Deleted content is not zeroed if that takes an extra write: the log keeps it anyway.
        "secure_delete=FAST",
        "cache_size=-8192",  # KiB; memory stays bounded with a long queue
    ):
        dbapi.execute(f"PRAGMA {pragma}")


def sqlite_connection(connection: sa.Connection) -> sqlite3.Connection:
    """Return SQLite's own connection, for statements that SQLAlchemy makes much slower."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def begin(connection: sa.Connection) -> sa.RootTransaction:
    """Begin a transaction. Use the result like that of ``connection.begin()``."""
    if connection.dialect.name == "sqlite":
        # oslo.db does it through SQLAlchemy, which takes a tenth of the time of a group commit.
        sqlite = sqlite_connection(connection)
        sqlite.execute("BEGIN")
        connection.info["in_transaction"] = True  # oslo.db's own flag: it then begins none itself
    return connection.begin()


def roll_back(connection: sa.Connection) -> None:
    """End a failed transaction of SQLite, whatever has ended it already; the connection stays."""
    connection.rollback()  # SQLAlchemy needs it even if its COMMIT failed
    sqlite = sqlite_connection(connection)
    if sqlite.in_transaction:
        sqlite.rollback()
    connection.info.pop("in_transaction", None)


def limit_lock_wait(connection: sa.Connection, seconds: int) -> None:
    """Let this transaction wait for a lock no longer than that. SQLite waits 10 s always."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{seconds}s'"))
    elif connection.dialect.name in {"mysql", "mariadb"}:
        connection.execute(sa.text(f"SET SESSION innodb_lock_wait_timeout = {seconds}"))


def empty_log(engine: sa.Engine) -> None:
    """Move SQLite's log into the database file, synced.

    The log may end with frames that were never synced: the agent died after a failed fsync. A
    power failure would remove them, and with them every later commit.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        sqlite = sqlite_connection(connection)
        busy, _, _ = sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        LOG.warning("Another process reads the journal, so its log stays; it is synced later")
