"""Records are deleted in time, and not before."""

from __future__ import annotations

import sqlalchemy as sa

from nova_cachemig.agent.journal import changes, expired, queries
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.agent.journal.statements import RecordResponse
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse, WriteState
from tests.unit.agent.journal.tables import QueriesCase, write


class DeleteExpiredTest(QueriesCase):
    def test_only_writes_that_ended_before(self) -> None:
        self.append(write(1), key=("one", "f"))
        self.append(write(2), write(3), write(4))
        for position, at_us in ((1, 5), (2, 50)):
            row = response_to_row(GuestResponse(200), "shop", position, at_us)
            self.perform(RecordResponse("shop", position, row))
        self.set_state(3, WriteState.IN_DOUBT)
        self.assertEqual([], expired.delete_writes(self.connection, 10))
        left = self.connection.execute(sa.select(WRITES.c.position)).scalars()
        self.assertEqual([2, 3, 4], sorted(left))

    def test_a_write_that_was_sent_again_stays_with_its_successor(self) -> None:
        self.append(write(1))
        self.set_state(1, WriteState.RESEND)
        changes.move(self.connection, 1, to_row(write(2)), 5)
        for end_us, left in ((50, [1, 2]), (5, [])):
            row = response_to_row(GuestResponse(200), "shop", 2, end_us)
            self.perform(RecordResponse("shop", 2, row))
            expired.delete_writes(self.connection, 10)
            expired.delete_writes(self.connection, 10)
            found = self.connection.execute(sa.select(WRITES.c.position)).scalars()
            self.assertEqual(left, sorted(found))

    def test_a_key_lasts_as_long_as_its_write(self) -> None:
        late = 10_000_000
        self.append(write(1), key=("one", "f"))
        expired.delete_writes(self.connection, late)
        self.assertIsNotNone(queries.find_key(self.connection, "shop", "one"))
        self.perform(RecordResponse("shop", 1))
        expired.delete_writes(self.connection, late)
        self.assertIsNone(queries.find_key(self.connection, "shop", "one"))

    def test_spool_files(self) -> None:
        body = Body(spool="0" * 32, length=9, digest=b"d")
        spooled = AcceptedWrite("shop", 1, 1.0, "PUT", "/", "h", (), body, "c")
        self.append(spooled)
        self.assertEqual({"0" * 32}, queries.spool_names(self.connection))
        self.set_state(1, WriteState.DISCARDED)
        self.assertEqual(["0" * 32], expired.delete_writes(self.connection, 10))
        self.assertEqual(set(), queries.spool_names(self.connection))
