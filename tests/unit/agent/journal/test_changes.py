"""Changes of single writes: moved ones, kept responses."""

from __future__ import annotations

import sqlalchemy as sa

from nova_cachemig.agent.journal import changes, queries
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.model.write import WriteState
from tests.unit.agent.journal.tables import QueriesCase, write


class MoveTest(QueriesCase):
    def test_once(self) -> None:
        self.append(write(1), key=("digest", "fingerprint"))
        self.set_state(1, WriteState.RESEND)
        self.connection.execute(sa.update(WRITES).values(note="it is missing"))
        (found,) = queries.to_resend(self.connection, "shop")
        self.assertEqual(write(1), found)
        moved = to_row(write(2))
        changes.move(self.connection, 1, moved, 9)
        changes.move(self.connection, 1, moved, 9)
        self.assertEqual([2], self.waiting())
        self.assertEqual([], queries.to_resend(self.connection, "shop"))
        old = queries.find(self.connection, "shop", 1)
        assert old is not None
        self.assertEqual((WriteState.DISCARDED, 2), (old.state, old.moved_to))
        self.assertEqual("it is missing; sent again as shop/2", old.note)
        self.assertEqual(("fingerprint", 2), queries.find_key(self.connection, "shop", "digest"))


class KeepResponseTest(QueriesCase):
    def test_it_is_on_disk(self) -> None:
        self.append(write(1))
        changes.keep_response(self.connection, "shop", 1)
        found = queries.find(self.connection, "shop", 1)
        assert found is not None and found.write is not None
        self.assertTrue(found.write.has_status_url)
