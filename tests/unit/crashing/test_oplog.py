"""The judge must catch planted faults."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.crashing.oplog import Sent, judge


def oplog(count: int, method: str = "POST") -> list[Sent]:
    return [Sent(f"w{n}", "c", method, n, acknowledged_at=n + 0.5) for n in range(count)]


def names(count: int) -> list[str]:
    return [f"w{n}" for n in range(count)]


class JudgeTest(unittest.TestCase):
    def judge(self, sent, applied, listed=(), *, keys=False, received=None):
        return judge(sent, set(applied if received is None else received), applied, set(listed),
                     honours_keys=keys)  # fmt: skip

    @given(st.integers(1, 20))
    def test_no_fault(self, count: int) -> None:
        verdict = self.judge(oplog(count), names(count))
        self.assertEqual(
            ((), (), (), ()),
            (verdict.lost, verdict.doubled, verdict.reordered, verdict.in_doubt_unlisted),
        )

    @given(st.integers(2, 20), st.data())
    def test_planted_loss(self, count: int, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from(names(count)))
        applied = [name for name in names(count) if name != victim]
        self.assertEqual((victim,), self.judge(oplog(count), applied).lost)
        self.assertEqual((), self.judge(oplog(count), applied, [victim]).lost)
        unlisted = self.judge(oplog(count), applied, received=names(count))
        self.assertEqual((victim,), unlisted.in_doubt_unlisted)

    @given(st.integers(2, 20), st.data())
    def test_planted_double(self, count: int, data: st.DataObject) -> None:
        victim = data.draw(st.sampled_from(names(count)))
        applied = names(count)
        applied.insert(data.draw(st.integers(0, count)), victim)
        self.assertEqual((victim,), self.judge(oplog(count), applied).doubled)

    def test_an_idempotent_repetition_after_another_url_is_harmless(self) -> None:
        sent = [Sent("a", "x", "PUT", 0, url="/a"), Sent("b", "y", "PUT", 1, url="/b")]
        verdict = self.judge(sent, ["a", "b", "a", "b"])
        self.assertEqual(((), 2, ()), (verdict.doubled, verdict.reapplied, verdict.reordered))
        self.assertEqual(("a", "b"), self.judge(sent, ["a", "b", "a", "b"], keys=True).doubled)

    def test_an_idempotent_repetition_is_harmless_unless_keys_are_honoured(self) -> None:
        sent = oplog(2, "PUT")
        applied = ["w0", "w0", "w1"]
        self.assertEqual(
            ((), 1), (self.judge(sent, applied).doubled, self.judge(sent, applied).reapplied)
        )
        self.assertEqual(("w0",), self.judge(sent, applied, keys=True).doubled)
        self.assertEqual(("w0",), self.judge(sent, ["w0", "w1", "w0"]).doubled)

    def test_a_write_that_was_in_flight_beside_both_applications_changes_nothing(self) -> None:
        sent = [Sent("a", "x", "PUT", 0, url="/p"), Sent("b", "y", "PUT", 0, url="/p")]
        applied = ["a", "b", "a"]
        for concurrent, doubled in ((True, ()), (False, ("a",))):
            verdict = judge(
                sent, {"a", "b"}, applied, set(),
                honours_keys=False, concurrent=lambda *_names, found=concurrent: found,
            )  # fmt: skip
            self.assertEqual(doubled, verdict.doubled)

    @given(st.integers(2, 20), st.data())
    def test_planted_reordering(self, count: int, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, count - 2))
        applied = names(count)
        applied[at], applied[at + 1] = applied[at + 1], applied[at]
        self.assertEqual((f"w{at}",), self.judge(oplog(count), applied).reordered)

    def test_a_repetition_does_not_hide_a_reordering(self) -> None:
        sent = [Sent("a", "x", "PUT", 0, 0.5, "/a"), Sent("b", "y", "POST", 1, 1.5, "/b")]
        self.assertEqual(("a",), self.judge(sent, ["b", "a", "a"]).reordered)
        self.assertEqual((), self.judge(sent, ["a", "b", "a"]).reordered)

    def test_concurrent_writes_have_no_order(self) -> None:
        sent = [Sent("a", "x", "PUT", 0.0, 5.0), Sent("b", "y", "PUT", 1.0, 2.0)]
        for applied in (["a", "b"], ["b", "a"]):
            self.assertEqual((), self.judge(sent, applied).reordered)

    def test_refused_and_applied(self) -> None:
        sent = [Sent("a", "x", "PUT", 0.0, refused=True)]
        self.assertEqual(("a",), self.judge(sent, ["a"]).refused_but_applied)
        self.assertEqual((), self.judge(sent, []).lost)
