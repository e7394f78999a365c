"""Writes come back from their rows as they went in, or are called damaged."""

from __future__ import annotations

import unittest

from hypothesis import assume, given
from hypothesis import strategies as st

from nova_cachemig.agent.journal.record import (
    COLUMNS,
    Damaged,
    answer_from_row,
    answer_to_row,
    from_row,
    to_row,
)
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.model.write import Body, GuestAnswer, HeldWrite

TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
BODIES = st.one_of(
    st.binary(max_size=50).map(Body.of),
    st.builds(Body, spool=st.just("0" * 32), length=st.integers(1, 2**40),
              digest=st.binary(min_size=16, max_size=16)),
)  # fmt: skip
WRITE = st.builds(
    HeldWrite,
    service=TEXT,
    position=st.integers(1, 2**60),
    accepted_at=st.integers(0, 2**50).map(lambda us: us / 1_000_000),
    method=st.sampled_from(["PUT", "POST", "DELETE"]),
    url=TEXT,
    host=TEXT,
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    body=BODIES,
    client=TEXT,
    key=st.none() | TEXT,
    client_key=st.booleans(),
    honours_keys=st.booleans(),
    framed=st.booleans(),
    wants_later=st.booleans(),
)


class RecordTest(unittest.TestCase):
    def test_the_columns_are_the_tables(self) -> None:
        self.assertLessEqual(set(COLUMNS), {column.name for column in WRITES.columns})

    @given(WRITE)
    def test_round_trip(self, write: HeldWrite) -> None:
        row = to_row(write)
        self.assertEqual(COLUMNS, tuple(row))
        self.assertEqual(write, from_row(row))

    @given(WRITE, st.sampled_from([c for c in COLUMNS if c not in {"state", "wants_later"}]),
           st.data())  # fmt: skip
    def test_any_change_is_damage(self, write: HeldWrite, column: str, data: st.DataObject) -> None:
        row = to_row(write)
        old = row[column]
        if isinstance(old, bytes):
            new: object = old + b"x"
        elif isinstance(old, str):
            new = old + "x"
        elif isinstance(old, int):
            new = old ^ (1 << data.draw(st.integers(0, 40)))
        else:
            new = b"x" if column in {"body", "spool_digest"} else "x"
        assume(new != old)
        with self.assertRaises(Damaged):
            from_row(row | {column: new})

    @given(st.integers(200, 599), st.lists(st.tuples(TEXT, TEXT), max_size=4), st.binary())
    def test_answers(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        answer = GuestAnswer(status, tuple(headers), Body.of(body))
        self.assertEqual(answer, answer_from_row(answer_to_row(answer)))
