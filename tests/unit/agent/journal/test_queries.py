"""Queries on the tables: the state of a queue, waiting writes, keys."""

from __future__ import annotations

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.agent.journal.statements import (
    RaiseSendLimit,
)
from nova_cachemig.model.write import WriteState
from tests.unit.agent.journal.tables import QueriesCase, write


class QueueStateTest(QueriesCase):
    def test_a_new_service(self) -> None:
        state = queries.queue_state(self.connection, "shop")
        self.assertEqual((0, 1, 0, 0, 0), (state.send_limit, state.next, state.waiting,
                                           state.waiting_bytes, state.in_doubt))  # fmt: skip
        self.assertEqual(32, len(state.secret))
        self.assertEqual(state, queries.queue_state(self.connection, "shop"))
        other = queries.queue_state(self.connection, "other")
        self.assertNotEqual(state.secret, other.secret)

    def test_counts_of_one_service(self) -> None:
        self.append(write(1), write(2, body=b"12345"), write(3), write(7, "other"))
        self.set_state(1, WriteState.IN_DOUBT)
        state = queries.queue_state(self.connection, "shop")
        self.assertEqual((4, 2, 6, 1), (state.next, state.waiting, state.waiting_bytes,
                                        state.in_doubt))  # fmt: skip
        self.assertEqual({"shop": 2, "other": 1}, queries.unfinished(self.connection))

    def test_a_position_below_the_send_limit_is_never_used_again(self) -> None:
        queries.queue_state(self.connection, "shop")
        self.perform(RaiseSendLimit("shop", 40))
        self.append(write(3))
        self.assertEqual(41, queries.queue_state(self.connection, "shop").next)


class WaitingTest(QueriesCase):
    @given(st.sets(st.integers(1, 40)), st.integers(0, 40), st.integers(1, 10))
    def test_pages_in_order(self, positions: set[int], after: int, limit: int) -> None:
        self.connection.execute(sa.delete(WRITES))
        self.append(*(write(position) for position in positions))
        expected = sorted(position for position in positions if position > after)[:limit]
        self.assertEqual(expected, self.waiting(after, limit))

    def test_rows_become_writes(self) -> None:
        self.append(write(1), write(2))
        self.connection.execute(
            sa.update(WRITES).where(WRITES.c.position == 2).values(method="PUT")
        )
        intact, damaged = (
            queries.write_from_row(row) for row in queries.waiting(self.connection, "shop", 0, 9)
        )
        self.assertEqual(write(1), intact)
        assert isinstance(damaged, UnreadableWrite)
        self.assertEqual(("shop", 2), (damaged.service, damaged.position))
        self.assertIn("checksum", damaged.why)

    def test_waiting_barrier_keys_skip_other_writes(self) -> None:
        self.append(write(1), write(2))
        self.set_state(1, WriteState.IN_DOUBT)
        found = queries.waiting_barrier_keys(self.connection, "shop")
        self.assertEqual([(2, "h", "/2", "c2", ())], found)
