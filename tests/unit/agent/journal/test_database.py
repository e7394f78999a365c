"""The journal's database engine: SQLite's settings, and explicit transactions."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import sqlalchemy as sa

from nova_cachemig.agent.journal import database


class DatabaseTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.engine = database.create_engine(database.url_for(None, Path(directory.name)))
        self.addCleanup(self.engine.dispose)
        with self.engine.begin() as connection:
            connection.execute(sa.text("CREATE TABLE t (n INTEGER)"))

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
