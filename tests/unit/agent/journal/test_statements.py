"""The statements that perform many steps, and which steps need no transaction."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.journal import database, migrate
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.agent.journal.statements import (
    Append,
    RaiseSendLimit,
    RecordResponse,
    Step,
    perform,
    perform_in_one_statement,
)
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

SERVICES = ("shop", "shöp / 2")


def append(service: str, position: int) -> Append:
    write = AcceptedWrite(service, position, 1.0, "POST", "/", "h", (), Body.of(b"x"), "c")
    return Append(write, to_row(write))


def record_of_response(service: str, position: int, *, keep: bool) -> RecordResponse:
    response = GuestResponse(201, (("x-seq", str(position)),), Body.of(b"seq %d" % position))
    row = response_to_row(response, service, position, 5) if keep else None
    return RecordResponse(service, position, row)


class StatementsTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.engine = database.create_engine(database.url_for(None, Path(directory.name)))
        self.addCleanup(self.engine.dispose)
        migrate.upgrade(self.engine)

    def rows(self) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            order = (WRITES.c.service, WRITES.c.position)
            return [tuple(row) for row in connection.execute(sa.select(WRITES).order_by(*order))]

    def fill(self, positions: range) -> None:
        with self.engine.connect() as connection:
            connection.execute(sa.delete(WRITES))
            connection.commit()
            for service in SERVICES:
                with database.begin(connection) as transaction:
                    perform(connection, [append(service, n) for n in positions])
                    transaction.commit()

    @settings(max_examples=25, deadline=None)
    @given(
        ends=st.sets(st.tuples(st.sampled_from(SERVICES), st.integers(0, 80)), max_size=64),
        keep=st.booleans(),
    )
    def test_responses_alone_have_the_effect_of_a_transaction(
        self, ends: set[tuple[str, int]], keep: bool
    ) -> None:
        """Also where a row is gone already: the step was performed before a crash."""
        steps = [record_of_response(service, position, keep=keep) for service, position in ends]
        self.fill(range(1, 71))
        with self.engine.connect() as connection, database.begin(connection) as transaction:
            perform(connection, steps)
            transaction.commit()
        expected = self.rows()
        self.fill(range(1, 71))
        with self.engine.connect() as connection:
            self.assertTrue(perform_in_one_statement(connection, steps))
            self.assertTrue(perform_in_one_statement(connection, steps))  # twice is as once
        self.assertEqual(expected, self.rows())
        gone = {end for end in ends if 1 <= end[1] <= 70}
        self.assertEqual(140 - (0 if keep else len(gone)), len(expected))

    def test_what_it_leaves(self) -> None:
        self.fill(range(1, 4))
        with self.engine.connect() as connection:
            perform_in_one_statement(connection, [record_of_response("shop", 2, keep=True)])
            perform_in_one_statement(connection, [record_of_response("shop", 3, keep=False)])
        with self.engine.connect() as connection:
            query = sa.select(WRITES).where(WRITES.c.service == "shop")
            one, two = connection.execute(query.order_by(WRITES.c.position)).mappings()
        self.assertEqual(("accepted", b"x", None), (one["state"], one["body"], one["status"]))
        self.assertEqual(("responded", None, 201), (two["state"], two["body"], two["status"]))
        self.assertEqual((b"seq 2", 5), (two["response_body"], two["ended_us"]))

    def test_what_needs_a_transaction_is_not_done_alone(self) -> None:
        alone: list[list[Step]] = [
            [append("shop", 1), record_of_response("shop", 1, keep=True)],
            [record_of_response("shop", 1, keep=True), record_of_response("shop", 2, keep=False)],
            [RaiseSendLimit("shop", 9)],
            [Append(append("shop", 1).write, append("shop", 1).row, send_limit=1)],
            [record_of_response("shop", n, keep=True) for n in range(65)],
        ]
        with self.engine.connect() as connection:
            for steps in alone:
                self.assertFalse(perform_in_one_statement(connection, steps))
        self.assertEqual([], self.rows())
