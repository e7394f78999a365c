"""Many rows by one statement: every row once, whatever their number."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import sqlalchemy as sa

from nova_cachemig.agent.journal import bulk, database, migrate
from nova_cachemig.agent.journal.record import from_row, to_row
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.model.write import Body, HeldWrite


def write(service: str, position: int) -> HeldWrite:
    return HeldWrite(service, position, 1.0, "POST", f"/{position}", "h", (("a", "b"),),
                     Body.of(b"%d" % position), "c")  # fmt: skip


class BulkTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.engine = database.create_engine(database.url_for(None, Path(directory.name)))
        self.addCleanup(self.engine.dispose)
        migrate.upgrade(self.engine)

    def rows(self) -> list[HeldWrite]:
        query = sa.select(WRITES).order_by(WRITES.c.service, WRITES.c.position)
        with self.engine.connect() as connection:
            return [from_row(row) for row in connection.execute(query).mappings()]

    def test_any_number_of_rows_comes_back_as_it_went_in(self) -> None:
        everything: list[HeldWrite] = []
        for count in (0, 1, 3, 4, 21, 64, 85, 133):
            start = len(everything)
            some = [write("a", start + number + 1) for number in range(count)]
            everything += some
            with self.engine.connect() as connection, bulk.begin(connection):
                bulk.insert(connection, [to_row(one) for one in some])
            self.assertEqual(everything, self.rows())

    def test_deletes_those_that_are_named_and_no_other(self) -> None:
        everything = [write(service, position) for service in "ab" for position in range(1, 101)]
        gone = [("b", p) for p in range(1, 100, 2)] + [("a", p) for p in range(100, 13, -1)]
        with self.engine.connect() as connection, bulk.begin(connection):
            bulk.insert(connection, [to_row(one) for one in everything])
        with self.engine.connect() as connection, bulk.begin(connection):
            bulk.delete(connection, gone)
        named = {(one.service, one.position) for one in self.rows()}
        self.assertEqual({(w.service, w.position) for w in everything} - set(gone), named)

    def test_what_is_rolled_back_never_was_and_the_next_one_is_whole(self) -> None:
        with self.engine.connect() as connection:
            with self.assertRaises(ZeroDivisionError), bulk.begin(connection):
                bulk.insert(connection, [to_row(write("a", 1))])
                raise ZeroDivisionError
            with bulk.begin(connection):
                bulk.insert(connection, [to_row(write("a", 2))])
        self.assertEqual([write("a", 2)], self.rows())
