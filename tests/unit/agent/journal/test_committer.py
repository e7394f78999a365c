"""The consequences of a failed commit for each step, over a real SQLite database."""

from __future__ import annotations

import dataclasses
import sqlite3
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa
from oslo_db import exception as db_exc

from nova_cachemig.agent.journal import committer, database, migrate
from nova_cachemig.agent.journal.committer import Committer, Result, WriterCounts
from nova_cachemig.agent.journal.errors import AcceptanceUnknown, NotAccepted
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.schema import KEYS, WRITES
from nova_cachemig.agent.journal.statements import (
    Append,
    Execute,
    RaiseSendLimit,
    RecordResponse,
    SetState,
    Withdraw,
)
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse, WriteState


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
        self.failing_commits([db_exc.DBConnectionError("gone")], committed=False)
        self.make().commit([append(1), append(2)])
        self.assertEqual(1, len(self.pauses))
        self.assertEqual(([None, None], [1, 2]), (self.errors(), self.positions()))

    def failing_commits(self, failures: list[BaseException | None], *, committed: bool) -> None:
        """Let COMMIT fail with these errors; ``committed``: after it has been done."""
        commit = sa.RootTransaction.commit

        def failing(transaction: sa.RootTransaction) -> None:
            error = failures.pop(0) if failures else None
            if error is None or committed:
                commit(transaction)
            if error is not None:
                raise error

        clock = iter(range(1000))
        for patched in (
            mock.patch.object(committer, "perform_in_one_statement", return_value=False),
            mock.patch.object(committer.time, "monotonic", lambda: float(next(clock))),
            mock.patch.object(sa.RootTransaction, "commit", failing),
        ):
            patched.start()
            self.addCleanup(patched.stop)

    def test_a_commit_that_still_runs_at_the_first_look(self) -> None:
        """The row is not seen, cannot be inserted again, and is there in the end."""
        look, looks = committer.already_appended, []

        def late(connection: sa.Connection, steps: list[Any]) -> set[Any]:
            looks.append(1)
            return set() if len(looks) == 1 else look(connection, steps)

        with mock.patch.object(committer, "already_appended", late):
            self.make("synced=fail").commit([append(1), append(2)])
        self.assertEqual(([None, None], [1, 2], 2), (self.errors(), self.positions(), len(looks)))

    def test_a_row_of_another_write_is_not_ours(self) -> None:
        self.make().commit([append(1)])
        self.results.clear()
        other = append(1)
        other.row["checksum"] = b"12345678"
        self.failing_commits([], committed=True)  # which makes the clock run
        self.make().commit([other], unknown=True)
        self.assertEqual([AcceptanceUnknown], self.errors())

    def test_an_outcome_that_stays_unknown_is_not_told_as_no(self) -> None:
        gone = db_exc.DBConnectionError("gone")
        self.failing_commits([gone], committed=True)
        with mock.patch.object(committer, "already_appended", side_effect=gone):
            made = self.make()
            made.commit([append(1)])
        self.assertEqual(([AcceptanceUnknown], [1]), (self.errors(), self.positions()))
        # As soon as the database is back, the write is removed, before any later one is accepted.
        self.results.clear()
        made.commit([*made.take_retries(), append(2)])
        self.assertEqual(([None, None], [2]), (self.errors(), self.positions()))

    def test_a_failed_sync_of_sqlite_is_no_refusal(self) -> None:
        unsynced = sqlite3.OperationalError("disk I/O error")
        unsynced.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        self.failing_commits([unsynced] * 9, committed=False)
        made = self.make()
        with mock.patch.object(self.engine, "connect", wraps=self.engine.connect) as connect:
            made.commit([append(1)])
            self.assertEqual([AcceptanceUnknown], self.errors())
            made.commit([*made.take_retries(), append(2)])
        self.assertEqual([2], self.positions())
        self.assertEqual(1, connect.call_count)  # the same one overwrites what was not synced

    def test_a_full_disk_certainly_did_nothing(self) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        self.failing_commits([full], committed=False)
        self.make().commit([append(1)])
        self.assertEqual(([NotAccepted], []), (self.errors(), self.positions()))

    def test_withdrawing_removes_the_key_too_and_only_its_own_row(self) -> None:
        keyed = dataclasses.replace(append(1), key=("digest", "fingerprint"))
        made = self.make()
        made.commit([keyed, append(2)])
        other = append(2)
        other.row["checksum"] = b"12345678"
        made.commit([Withdraw(keyed), Withdraw(other), Withdraw(append(3))])
        with self.engine.connect() as connection:
            self.assertEqual([], list(connection.execute(sa.select(KEYS))))
        self.assertEqual([2], self.positions())

    def test_steps_other_than_appends_are_never_given_up(self) -> None:
        rejected = sa.exc.ProgrammingError("", {}, Exception("permission denied"))
        made, limit = self.make(), RaiseSendLimit("shop", 9)
        state = SetState("shop", 1, WriteState.DAMAGED, 1, "note")
        self.failing_commits([], committed=True)
        with mock.patch.object(committer, "perform", side_effect=rejected):
            made.commit([RecordResponse("shop", 1), state])
            made.commit([limit])
        self.assertEqual([], self.results)
        retries = made.take_retries()
        self.assertEqual([RecordResponse, SetState, RaiseSendLimit], [type(s) for s in retries])
        made.commit(retries)
        self.assertEqual([None, None, None], self.errors())

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
