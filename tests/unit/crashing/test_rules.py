"""The rules must find planted faults, and nothing else."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.crashing.oplog import Read, Sent
from tests.crashing.rules import old_reads, overtaken


def in_order(count: int) -> list[tuple[str, int]]:
    return [(f"w{number}", number) for number in range(1, count + 1)]


class OvertakenTest(unittest.TestCase):
    def test_the_order_of_the_journal_is_right(self) -> None:
        log = [*in_order(4), ("w2", 2)]  # only the first application counts
        self.assertEqual([], overtaken(log, lambda _later, _earlier: False))

    @given(st.integers(2, 20), st.data())
    def test_planted_swap_of_adjacent_writes(self, count: int, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, count - 2))
        log = in_order(count)
        log[at], log[at + 1] = log[at + 1], log[at]
        found = overtaken(log, lambda _later, _earlier: False)
        self.assertEqual([f"w{at + 1} at {at + 1} by w{at + 2} at {at + 2}"], found)

    def test_a_permitted_one_may_pass(self) -> None:
        log = [("b", 2), ("c", 3), ("a", 1)]
        self.assertEqual([], overtaken(log, lambda later, earlier: earlier == ("a", 1)))
        found = overtaken(log, lambda later, _earlier: later == ("b", 2))
        self.assertEqual(["a at 1 by c at 3"], found)


class OldReadsTest(unittest.TestCase):
    sent = (
        Sent("a", "x", "PUT", 0.0, acknowledged_at=1.0, url="/p"),
        Sent("b", "y", "PUT", 2.0, acknowledged_at=3.0, url="/p"),
        Sent("c", "y", "PUT", 2.0, url="/p"),
        Sent("d", "y", "PUT", 2.0, acknowledged_at=3.0, url="/q"),
    )

    def read(self, at: float, value: str | None, applied: str = "abcd", exempt: str = "") -> int:
        found = old_reads([Read("/p", at, value)], self.sent, list(applied), set(exempt))
        return len(found)

    def test_a_read_shows_what_was_acknowledged_before(self) -> None:
        self.assertEqual(0, self.read(0.5, None))
        self.assertEqual(1, self.read(1.5, None))
        self.assertEqual(0, self.read(1.5, "a"))
        self.assertEqual(0, self.read(2.5, "a"))
        self.assertEqual(1, self.read(3.5, "a"))

    def test_a_later_write_may_be_shown_too(self) -> None:
        self.assertEqual(0, self.read(3.5, "c"))
        self.assertEqual(0, self.read(3.5, "a", applied="abca"))

    def test_the_outcome_of_a_write_in_doubt_may_be_either(self) -> None:
        self.assertEqual(0, self.read(3.5, "a", exempt="b"))

    def test_another_page_has_other_writes(self) -> None:
        self.assertEqual([], old_reads([Read("/r", 9.0, None)], self.sent, list("abcd"), set()))
