"""Stores keys in an SQLite file. Several processes can share it; it survives their end."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from nova_cachemig.guest import owner
from nova_cachemig.guest.response import Response
from nova_cachemig.guest.store import Record, State, StoreError, StoreFull

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL,
    owner TEXT NOT NULL,
    until REAL,
    status INTEGER,
    reason TEXT,
    headers TEXT,
    body BLOB,
    whole INTEGER,
    size INTEGER NOT NULL
);
CREATE INDEX keys_until ON keys (until) WHERE until IS NOT NULL;
CREATE INDEX keys_owner ON keys (owner) WHERE state = 'in_flight';
CREATE TABLE totals (keys INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER keys_in AFTER INSERT ON keys BEGIN
    UPDATE totals SET keys = keys + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER keys_change AFTER UPDATE OF size ON keys BEGIN
    UPDATE totals SET bytes = bytes + new.size - old.size;
END;
CREATE TRIGGER keys_out AFTER DELETE ON keys BEGIN
    UPDATE totals SET keys = keys - 1, bytes = bytes - old.size;
END;
"""
_ROW: Final = 256  # bytes: the approximate size of a key without headers and body
_DELETE_CHUNK: Final = 64  # expired keys that one claim removes
_BUSY: Final = 10.0  # seconds to wait for another process's transaction

# A child process must not use or close a connection that its parent opened.
_inherited: list[sqlite3.Connection] = []
_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()


def _after_fork() -> None:
    for store in tuple(_stores):
        store.forked()


os.register_at_fork(after_in_child=_after_fork)


class SqliteStore:
    """A :class:`~nova_cachemig.guest.store.Store` in the file ``path``, on a disk of this machine.

    The directory ``path.owners`` next to the file shows which processes run. Only their owner can
    read both, because responses may be private. The store opens the file at the first use.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep: float = 86400.0,
        most_keys: int = 100_000,
        most_bytes: int = 1 << 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``keep``: seconds after the response. ``most_bytes``: of all responses, approximately.

        ``clock`` returns seconds and continues across restarts.
        """
        if keep <= 0 or most_keys < 1 or most_bytes < 1:
            raise ValueError("keep, most_keys and most_bytes must be positive")
        self._path = Path(path).absolute()
        self._owners = self._path.with_name(self._path.name + ".owners")
        self._keep = keep
        self._most_keys = most_keys
        self._most_bytes = most_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._me: owner.Owner | None = None
        _stores.add(self)

    def close(self) -> None:
        """Close the file. Requests in flight count as unknown from now on."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._me is not None:
                self._me.release()
                self._me = None

    def forked(self) -> None:
        """Start again in a child process."""
        self._lock = threading.Lock()
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None
        if self._me is not None:
            self._me.forked()
            self._me = None

    # --- Store

    def claim(self, key: str, fingerprint: str, *, again: bool) -> Record | None:
        """Claim the key; see :class:`~nova_cachemig.guest.store.Store`."""
        with self._transaction() as (connection, me):
            self._delete_expired(connection, key)
            row = connection.execute("SELECT * FROM keys WHERE key = ?", (key,)).fetchone()
            if row is not None:
                return self._existing(connection, me, row, fingerprint, again)
            full = self._limit_reached(connection)
            if full is None:
                connection.execute(
                    "INSERT INTO keys (key, fingerprint, state, owner, size) "
                    "VALUES (?, ?, 'in_flight', ?, ?)",
                    (key, fingerprint, me, _ROW),
                )
                return None
        raise StoreFull(full)  # after the transaction, so that its deletions are committed

    def record_response(self, key: str, response: Response) -> None:
        """Store the response."""
        headers = json.dumps(response.headers)
        self._finish(
            key,
            "state = ?, until = ?, status = ?, reason = ?, headers = ?, body = ?,"
            " whole = ?, size = ?",
            State.RESPONDED.value,
            self._clock() + self._keep,
            response.status,
            response.reason,
            headers,
            response.body,
            response.whole,
            _ROW + len(headers) + len(response.body),
        )

    def mark_unknown(self, key: str) -> None:
        """Record that the request may have been applied or not."""
        self._finish(key, "state = 'unknown', until = ?", self._clock() + self._keep)

    def release(self, key: str) -> None:
        """Delete the key."""
        with self._transaction() as (connection, me):
            connection.execute(
                "DELETE FROM keys WHERE key = ? AND state = 'in_flight' AND owner = ?", (key, me)
            )

    # ---

    def _finish(self, key: str, assignments: str, *values: Any) -> None:
        with self._transaction() as (connection, me):
            done = connection.execute(
                f"UPDATE keys SET {assignments} "
                "WHERE key = ? AND state = 'in_flight' AND owner = ?",
                (*values, key, me),
            )
            if done.rowcount != 1:
                raise StoreError(f"the key {key} is no longer in flight in {self._path}")

    def _existing(
        self,
        connection: sqlite3.Connection,
        me: str,
        row: sqlite3.Row,
        fingerprint: str,
        again: bool,
    ) -> Record | None:
        state = State(row["state"])
        if state is State.IN_FLIGHT and not self._is_alive(row["owner"], me):
            self._mark_unknown_of(connection, row["owner"])
            state = State.UNKNOWN
        if state is State.UNKNOWN and again and row["fingerprint"] == fingerprint:
            connection.execute(
                "UPDATE keys SET state = 'in_flight', owner = ?, until = NULL WHERE key = ?",
                (me, row["key"]),
            )
            return None
        response = _response_of(row) if state is State.RESPONDED else None
        return Record(row["fingerprint"], state, response)

    def _limit_reached(self, connection: sqlite3.Connection) -> str | None:
        keys, size = connection.execute("SELECT keys, bytes FROM totals").fetchone()
        if keys < self._most_keys and size < self._most_bytes:
            return None
        return f"{self._path} holds {keys} keys, {size} bytes: the limit is reached"

    def _delete_expired(self, connection: sqlite3.Connection, key: str) -> None:
        """Delete some expired keys, and ``key`` if it has expired."""
        now = self._clock()
        connection.execute("DELETE FROM keys WHERE key = ? AND until <= ?", (key, now))
        connection.execute(
            "DELETE FROM keys WHERE key IN (SELECT key FROM keys WHERE until <= ? LIMIT ?)",
            (now, _DELETE_CHUNK),
        )

    def _is_alive(self, name: str, me: str) -> bool:
        return name == me or owner.is_alive(self._owners, name)

    def _mark_unknown_of(self, connection: sqlite3.Connection, name: str) -> None:
        """Mark the requests of a process that has ended."""
        connection.execute(
            "UPDATE keys SET state = 'unknown', until = ? WHERE state = 'in_flight' AND owner = ?",
            (self._clock() + self._keep, name),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, str]]:
        with self._lock:
            try:
                connection, me = self._opened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection, me
                    connection.execute("COMMIT")
                finally:
                    if connection.in_transaction:  # SQLite itself rolls back after a full disk
                        connection.execute("ROLLBACK")
            except (sqlite3.Error, OSError) as exc:
                raise StoreError(f"{self._path}: {exc}") from exc

    def _opened(self) -> tuple[sqlite3.Connection, str]:
        if self._connection is None or self._me is None:
            self._owners.mkdir(mode=0o700, exist_ok=True)
            # Exclusive: if two processes switch a new file to WAL at the same time, one fails.
            with owner.exclusive(self._owners):
                connection = self._open()
                owner.remove_dead(self._owners)
                for (name,) in connection.execute(
                    "SELECT DISTINCT owner FROM keys WHERE state = 'in_flight'"
                ).fetchall():
                    if not owner.is_alive(self._owners, name):
                        self._mark_unknown_of(connection, name)
                self._connection, self._me = connection, owner.Owner(self._owners)
        return self._connection, self._me.name

    def _open(self) -> sqlite3.Connection:
        # SQLite gives its other files the same mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;"
                )
            elif version != _VERSION:
                raise StoreError(f"{self._path} has format {version}, not format {_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection


def _response_of(row: sqlite3.Row) -> Response:
    headers = tuple((name, value) for name, value in json.loads(row["headers"]))
    return Response(row["status"], row["reason"], headers, row["body"], bool(row["whole"]))
