"""The consequences of a failed commit for each step, over a real SQLite database."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import committer, database, migrate
from nova_cachemig.agent.journal.committer import Committer, Result, WriterCounts
from nova_cachemig.agent.journal.errors import NotAccepted
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.agent.journal.statements import Append, Execute, RecordResponse
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse


def append(position: int) -> Append:
    write = AcceptedWrite("shop", position, 1.0, "POST", "/", "h", (), Body.of(b"x"), "c")
    return Append(write, to_row(write))


class CommitterTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.engine = database.create_engine(database.url_for(None, Path(directory.name)))
        self.addCleanup(self.engine.dispose)
        migrate.upgrade(self.engine)
        self.results: list[Result] = []
        self.pauses: list[float] = []
        pause = mock.patch.object(committer.time, "sleep", self.pauses.append)
        pause.start()
        self.addCleanup(pause.stop)

    def make(self, *armed: str) -> Committer:
        self.counts = WriterCounts()
        made = Committer(self.engine, Failpoints(armed), self.counts, self.results.extend)
        self.addCleanup(made.disconnect)
        return made

    def positions(self) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(WRITES.c.position)).scalars())

    def errors(self) -> list[type[BaseException] | None]:
        return [None if error is None else type(error) for _, error in self.results]

    def test_success(self) -> None:
        steps = [append(1), append(2)]
        self.make().commit(list(steps))
        self.assertEqual([(step, None) for step in steps], self.results)
        self.assertEqual((1, 2), (self.counts.commits, self.counts.steps))

    def test_a_transaction_that_did_not_happen(self) -> None:
        """Appends fail. Everything else is kept for another try, in order."""
        made = self.make("appended=fail")
        first, second = (Execute(lambda _connection: None) for _ in range(2))
        made.commit([first, append(1), second])
        self.assertEqual([NotAccepted], self.errors())
        self.assertEqual([first, second], made.take_retries())
        self.assertEqual([], made.to_retry)
        self.assertEqual(([], 0), (self.positions(), self.counts.commits))

    def test_an_unknown_outcome_is_looked_up(self) -> None:
        self.make("synced=fail").commit([append(1)])
        self.assertEqual(([None], [1], 1), (self.errors(), self.positions(), len(self.pauses)))

    def test_an_unknown_outcome_that_was_a_failure_is_repeated(self) -> None:
        """The connection breaks during COMMIT, and the server has rolled back."""
        made, begin = self.make(), database.begin

        def breaking(connection: sa.Connection) -> sa.RootTransaction:
            transaction = begin(connection)
            patched.stop()
            transaction.commit = mock.Mock(side_effect=db_exc.DBConnectionError("gone"))
            return transaction

        patched = mock.patch.object(committer.database, "begin", breaking)
        patched.start()
        alone = mock.patch.object(committer, "perform_in_one_statement", return_value=False)
        with alone:
            made.commit([append(1), append(2)])
        self.assertEqual(([None, None], [1, 2]), (self.errors(), self.positions()))

    def test_appends_wait_a_while_for_an_unreachable_database(self) -> None:
        refused = sa.exc.OperationalError("", {}, OSError("Connection refused"))
        clock = iter(range(100))
        with (
            mock.patch.object(self.engine, "connect", side_effect=refused) as connect,
            mock.patch.object(committer.time, "monotonic", lambda: float(next(clock))),
        ):
            made = self.make()
            made.commit([append(1)])
        self.assertEqual([NotAccepted], self.errors())
        self.assertEqual(5, connect.call_count)  # at 1 to 5 s by this clock
        self.assertEqual(connect.call_count - 1, len(self.pauses))

    def test_a_step_that_can_never_succeed_is_found(self) -> None:
        made = self.make()
        made.commit([append(1), append(1), append(2)])
        self.assertEqual([None, NotAccepted, None], self.errors())
        self.assertEqual([1, 2], self.positions())

    def test_a_response_that_is_rejected_still_ends_its_write(self) -> None:
        made = self.make()
        made.commit([append(1)])
        row = response_to_row(GuestResponse(200), "shop", 1, 5) | {"status": object()}
        made.commit([RecordResponse("shop", 1, row)])
        self.assertEqual(([None, None], []), (self.errors(), self.positions()))
