"""The ownership of a SQLite database; test_databases.py has the servers."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.journal import database, migrate, owner
from nova_cachemig.agent.journal.committer import Committer, Result, WriterCounts
from nova_cachemig.agent.journal.errors import JournalLocked, NotAccepted, OwnershipLost
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.owner import Owner, Previous
from nova_cachemig.agent.journal.statements import RaiseSendLimit
from tests.unit.agent.journal.test_committer import append


class OwnerTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)
        self.engine = database.create_engine(database.url_for(None, self.path))
        self.addCleanup(self.engine.dispose)
        migrate.upgrade(self.engine)

    def make(self, name: str = "a") -> Owner:
        made = Owner(self.engine, Path(name))
        self.addCleanup(made.release)
        return made

    def taken(self, name: str = "a") -> tuple[Owner, Previous]:
        made = self.make(name)
        previous = made.lock()
        with self.engine.begin() as connection:
            made.claim(connection, previous)
        return made, previous

    def as_server(self) -> None:
        patched = mock.patch.object(Owner, "is_server", True)
        patched.start()
        self.addCleanup(patched.stop)

    def test_generations(self) -> None:
        first, previous = self.taken()
        self.assertEqual((Previous(0, None), 1), (previous, first.generation))
        first.release()
        second, previous = self.taken("b")
        self.assertEqual((Previous(1, None), 2), (previous, second.generation))
        with self.assertRaisesRegex(JournalLocked, ":b, process"):
            self.make().lock()
        assert second._fd is not None
        owner.os.close(second._fd)  # as if it were killed
        second._fd = None
        _, previous = self.taken()
        self.assertEqual(2, previous.generation)
        self.assertIn(":b, process", previous.holder or "")

    def test_a_claim_that_is_rolled_back_leaves_the_owner(self) -> None:
        made = self.make()
        with self.assertRaises(ZeroDivisionError), self.engine.begin() as connection:
            made.claim(connection, made.lock())
            raise ZeroDivisionError
        made.release()
        self.assertEqual(Previous(0, None), self.make().lock())

    def test_the_wait_for_a_predecessor(self) -> None:
        made, pauses = self.make(), []
        with mock.patch.object(owner.time, "sleep", pauses.append):
            made.wait_for_predecessor(Previous(3, "x"))  # SQLite's lock ends with the process
            self.as_server()
            made.wait_for_predecessor(Previous(3, None))
            made.wait_for_predecessor(Previous(3, "x"))
        self.assertEqual([owner._TAKEOVER], pauses)
        self.assertGreater(owner._TAKEOVER, owner._LEASE + owner._BEAT)

    def test_the_lease(self) -> None:
        made, _ = self.taken()
        self.assertTrue(made.may_send)
        self.as_server()
        with mock.patch.object(owner.time, "monotonic", return_value=1000.0):
            for checked_at, expected in ((991.0, True), (989.0, False)):
                made._checked_at = checked_at
                self.assertEqual(expected, made.may_send)
            made._checked_at = 1000.0
            with self.assertLogs(owner.LOG, "CRITICAL"):
                made.lose("a test")
            self.assertFalse(made.may_send)

    def test_a_transaction_of_a_former_owner_does_nothing(self) -> None:
        former, _ = self.taken()
        self.as_server()
        lost: list[bool] = []
        former._on_lost = lambda: lost.append(True)
        with self.engine.begin() as connection:
            self.make("b").claim(connection, Previous(1, "a"))
        results: list[Result] = []
        args = (self.engine, Failpoints(), WriterCounts(), results.extend, former)
        made = Committer(*args)
        self.addCleanup(made.disconnect)
        with mock.patch(
            "nova_cachemig.agent.journal.committer.perform_in_one_statement", return_value=False
        ):
            made.commit([append(1), RaiseSendLimit("shop", 1)])
            made.commit([append(2)])
        self.assertEqual([NotAccepted] * 2, [type(error) for _, error in results])
        self.assertEqual(([], [True]), (made.take_retries(), lost))
        with self.engine.connect() as connection, self.assertRaises(OwnershipLost):
            former.check(connection)
