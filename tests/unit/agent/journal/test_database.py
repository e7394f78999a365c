"""The journal's database engine: SQLite's settings, and explicit transactions."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import pymysql
import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import database, migrate
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.schema import KEYS


class DatabaseTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.engine = database.create_engine(database.url_for(None, Path(directory.name)))
        self.addCleanup(self.engine.dispose)
        with self.engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))

    def test_a_missing_driver_is_named_with_the_remedy(self) -> None:
        with (
            mock.patch.dict(sys.modules, psycopg2=None),
            self.assertRaisesRegex(JournalError, r"//u:\*\*\*@h/d.*psycopg2.*install the driver"),
        ):
            database.create_engine("postgresql+psycopg2://u:secret@h/d")

    def test_only_the_owner_can_read_the_files_of_sqlite(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            here = Path(name)
            (here / "journal.sqlite").touch(0o644)  # as an earlier version created it
            database.make_private(here)
            engine = database.create_engine(database.url_for(None, here))
            self.addCleanup(engine.dispose)
            with engine.begin() as connection:
                connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))
                modes = {path.name: path.stat().st_mode & 0o777 for path in here.iterdir()}
        self.assertIn("journal.sqlite-wal", modes)
        self.assertEqual({0o600}, set(modes.values()), modes)

    def numbers(self) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT n FROM t ORDER BY n")).scalars())

    def test_every_commit_is_synced(self) -> None:
        with self.engine.connect() as connection:
            self.assertEqual("wal", connection.execute(sa.text("PRAGMA journal_mode")).scalar())
            self.assertEqual(2, connection.execute(sa.text("PRAGMA synchronous")).scalar())

    def test_a_transaction_is_seen_when_it_is_committed_and_not_before(self) -> None:
        with self.engine.connect() as connection:
            with database.begin(connection):
                connection.execute(sa.text("INSERT INTO t VALUES (1)"))
                self.assertEqual([], self.numbers())
            self.assertEqual([1], self.numbers())

    def test_what_is_rolled_back_never_was_and_the_next_one_is_whole(self) -> None:
        with self.engine.connect() as connection:
            with self.assertRaises(ZeroDivisionError), database.begin(connection):
                connection.execute(sa.text("INSERT INTO t VALUES (1)"))
                raise ZeroDivisionError
            with database.begin(connection):
                connection.execute(sa.text("INSERT INTO t VALUES (2)"))
        self.assertEqual([2], self.numbers())

    def test_an_error_and_its_cause_do_not_show_what_users_have_sent(self) -> None:
        migrate.upgrade(self.engine)
        row = {"service": "shop", "digest": "session=SECRET", "fingerprint": "f", "position": 1}
        with (
            self.assertRaises(db_exc.DBError) as caught,
            self.engine.begin() as connection,
        ):
            connection.execute(sa.insert(KEYS), [row])
        self.assertNotIn("SECRET", str(caught.exception))
        self.assertEqual(
            "NOT NULL constraint failed: idempotency_keys.accepted_us (IntegrityError)",
            database.cause_of(caught.exception),
        )

    def test_the_cause_is_one_short_line(self) -> None:
        failing = sqlite3.IntegrityError("null value\nDETAIL:  Failing row contains (SECRET).")
        wrapped = db_exc.DBError(sa.exc.IntegrityError("INSERT", {"a": "SECRET"}, failing))
        self.assertEqual("null value (IntegrityError)", database.cause_of(wrapped))
        self.assertLess(len(database.cause_of(ValueError("x" * 1000))), 230)
        self.assertEqual("no reason given (ValueError)", database.cause_of(ValueError()))
        lost = pymysql.err.OperationalError(2013, "Lost connection")
        self.assertEqual("Lost connection (error 2013) (OperationalError)", database.cause_of(lost))
