"""Queries on the tables: the state of a queue, moved writes, expired writes, keys."""

from __future__ import annotations

import unittest

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.queries import POSITION, UnreadableWrite
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.schema import METADATA, WRITES
from nova_cachemig.agent.journal.statements import (
    Append,
    RaiseSendLimit,
    RecordResponse,
    SetState,
    Step,
    perform,
)
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse, WriteState


def write(position: int, service: str = "shop", body: bytes = b"x") -> AcceptedWrite:
    return AcceptedWrite(
        service, position, 1.0, "POST", f"/{position}", "h", (), Body.of(body), f"c{position}"
    )


class QueriesCase(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.addCleanup(self.engine.dispose)
        METADATA.create_all(self.engine)
        self.connection = self.engine.connect()
        self.addCleanup(self.connection.close)

    def perform(self, *steps: Step) -> None:
        perform(self.connection, steps)

    def append(self, *writes: AcceptedWrite, key: tuple[str, str] | None = None) -> None:
        self.perform(*(Append(one, to_row(one), key=key) for one in writes))

    def set_state(self, position: int, state: WriteState, at_us: int = 5) -> None:
        self.perform(SetState("shop", position, state, at_us, "why"))

    def waiting(self, after: int = 0, limit: int = 100) -> list[int]:
        rows = queries.waiting(self.connection, "shop", after, limit)
        return [row[POSITION] for row in rows]


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
        self.assertEqual([(2, "h", "/2", "c2")], found)


class MoveTest(QueriesCase):
    def test_once(self) -> None:
        self.append(write(1), key=("digest", "fingerprint"))
        self.set_state(1, WriteState.RESEND)
        self.connection.execute(sa.update(WRITES).values(note="it is missing"))
        (found,) = queries.to_resend(self.connection, "shop")
        self.assertEqual(write(1), found)
        moved = to_row(write(2))
        queries.move(self.connection, 1, moved, 9)
        queries.move(self.connection, 1, moved, 9)
        self.assertEqual([2], self.waiting())
        self.assertEqual([], queries.to_resend(self.connection, "shop"))
        old = queries.find(self.connection, "shop", 1)
        assert old is not None
        self.assertEqual((WriteState.DISCARDED, 2), (old.state, old.moved_to))
        self.assertEqual("it is missing; sent again as shop/2", old.note)
        self.assertEqual(("fingerprint", 2), queries.find_key(self.connection, "shop", "digest"))


class DeleteExpiredTest(QueriesCase):
    def test_only_writes_that_ended_before(self) -> None:
        self.append(write(1), key=("one", "f"))
        self.append(write(2), write(3), write(4))
        for position, at_us in ((1, 5), (2, 50)):
            row = response_to_row(GuestResponse(200), "shop", position, at_us)
            self.perform(RecordResponse("shop", position, row))
        self.set_state(3, WriteState.IN_DOUBT)
        self.assertEqual([], queries.delete_expired(self.connection, 10))
        left = self.connection.execute(sa.select(WRITES.c.position)).scalars()
        self.assertEqual([2, 3, 4], sorted(left))

    def test_a_write_that_was_sent_again_stays_with_its_successor(self) -> None:
        self.append(write(1))
        self.set_state(1, WriteState.RESEND)
        queries.move(self.connection, 1, to_row(write(2)), 5)
        for end_us, left in ((50, [1, 2]), (5, [])):
            row = response_to_row(GuestResponse(200), "shop", 2, end_us)
            self.perform(RecordResponse("shop", 2, row))
            queries.delete_expired(self.connection, 10)
            queries.delete_expired(self.connection, 10)
            found = self.connection.execute(sa.select(WRITES.c.position)).scalars()
            self.assertEqual(left, sorted(found))

    def test_a_key_lasts_as_long_as_its_write(self) -> None:
        late = 10_000_000
        self.append(write(1), key=("one", "f"))
        queries.delete_expired(self.connection, late)
        self.assertIsNotNone(queries.find_key(self.connection, "shop", "one"))
        self.perform(RecordResponse("shop", 1))
        queries.delete_expired(self.connection, late)
        self.assertIsNone(queries.find_key(self.connection, "shop", "one"))

    def test_spool_files(self) -> None:
        body = Body(spool="0" * 32, length=9, digest=b"d")
        spooled = AcceptedWrite("shop", 1, 1.0, "PUT", "/", "h", (), body, "c")
        self.append(spooled)
        self.assertEqual({"0" * 32}, queries.spool_names(self.connection))
        self.set_state(1, WriteState.DISCARDED)
        self.assertEqual(["0" * 32], queries.delete_expired(self.connection, 10))
        self.assertEqual(set(), queries.spool_names(self.connection))


class KeepResponseTest(QueriesCase):
    def test_it_is_on_disk(self) -> None:
        self.append(write(1))
        queries.keep_response(self.connection, "shop", 1)
        found = queries.find(self.connection, "shop", 1)
        assert found is not None and found.write is not None
        self.assertTrue(found.write.has_status_url)
