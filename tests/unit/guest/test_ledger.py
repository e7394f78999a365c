"""What is decided where the store fails or says something unusual."""

from __future__ import annotations

import json
import unittest

from nova_cachemig.guest.answer import Answer
from nova_cachemig.guest.ledger import Ledger
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.store import Record, State, StoreError, StoreFull


class Remembering:
    """A store of the guest's own."""

    def __init__(self, claim: Record | Exception | None = None) -> None:
        self._claim = claim
        self.calls: list[tuple[object, ...]] = []
        self.fails = False

    def claim(self, key: str, fingerprint: str, *, again: bool) -> Record | None:
        self.calls.append(("claim", key, fingerprint, again))
        if isinstance(self._claim, Exception):
            raise self._claim
        return self._claim

    def answered(self, key: str, answer: Answer) -> None:
        self._end("answered", key, answer.status)

    def unknown(self, key: str) -> None:
        self._end("unknown", key)

    def release(self, key: str) -> None:
        self._end("release", key)

    def _end(self, *call: object) -> None:
        self.calls.append(call)
        if self.fails:
            raise StoreError("disk full")


def _code(answer: Answer | None) -> tuple[int, str]:
    assert answer is not None
    return answer.status, json.loads(answer.body)["code"]


class LedgerTest(unittest.TestCase):
    def make(self, claim: Record | Exception | None = None, **settings) -> Ledger:
        self.store = Remembering(claim)
        return Ledger(self.store, Settings(**settings))

    def test_which_requests(self) -> None:
        ledger = self.make(methods=frozenset({"POST"}))
        self.assertIsNone(ledger.key("PUT", "nonsense", lambda _name: ""))
        self.assertIsNone(ledger.key("POST", None, lambda _name: ""))
        self.assertEqual((400, "key-invalid"), _code(ledger.key("POST", "x", lambda _name: "")))
        required = self.make(required=True)
        self.assertEqual((400, "key-missing"), _code(required.key("POST", None, lambda _n: "")))

    def test_scope(self) -> None:
        ledger = self.make(scope=("authorization", "x-tenant"))
        seen = {
            ledger.key("POST", '"k"', {"authorization": one, "x-tenant": two}.__getitem__)
            for one in ("", "a")
            for two in ("", "a")
        }
        self.assertEqual(4, len(seen))

    def test_a_store_that_fails_lets_nothing_through(self) -> None:
        for error, expected in (
            (StoreError("x"), (503, "keys-unavailable")),
            (StoreFull("x"), (503, "keys-full")),
        ):
            with self.assertLogs("nova_cachemig.guest.ledger", "ERROR"):
                refusal = self.make(error).claim("k", "f")
            self.assertEqual(expected, _code(refusal))
            self.assertTrue(refusal.has("retry-after"))

    def test_what_is_known(self) -> None:
        answer = Answer(201, "CREATED", (("A", "b"),), b"x")
        partial = Answer(202, "", (("Location", "/1"), ("A", "b")), b"", whole=False)
        for record, expected in (
            (Record("g", State.ANSWERED, answer), (422, "key-reused")),
            (Record("g", State.IN_FLIGHT), (422, "key-reused")),
            (Record("f", State.IN_FLIGHT), (409, "in-flight")),
            (Record("f", State.UNKNOWN), (409, "outcome-unknown")),
            (Record("f", State.ANSWERED, partial), (409, "answer-not-kept")),
        ):
            got = self.make(record).claim("k", "f")
            self.assertEqual(expected, _code(got))
            self.assertEqual(expected[1] == "in-flight", got.has("retry-after"))
        self.assertEqual(202, json.loads(got.body)["first_status"])
        again = self.make(Record("f", State.ANSWERED, answer)).claim("k", "f")
        added = (("Idempotent-Replayed", "true"), ("Content-Length", "1"))
        self.assertEqual((201, (("A", "b"), *added), b"x"), _facts(again))

    def test_the_choice_after_a_crash_reaches_the_store(self) -> None:
        for choice, again in ((AfterCrash.AGAIN, True), (AfterCrash.REFUSE, False)):
            self.assertIsNone(self.make(after_crash=choice).claim("k", "f"))
            self.assertEqual([("claim", "k", "f", again)], self.store.calls)

    def test_answers(self) -> None:
        ledger = self.make()
        for status in (200, 400, 500, 503, 429):
            ledger.answered("k", Answer(status))
        ledger.failed("k")
        expected = [("answered", "k", status) for status in (200, 400, 500)]
        expected += [("release", "k"), ("release", "k"), ("answered", "k", 500)]
        self.assertEqual(expected, self.store.calls)

    def test_a_store_that_fails_afterwards_is_logged(self) -> None:
        ledger = self.make()
        self.store.fails = True
        for end in (
            lambda: ledger.answered("k", Answer(200)),
            lambda: ledger.unknown("k"),
            lambda: ledger.release("k"),
        ):
            with self.assertLogs("nova_cachemig.guest.ledger", "ERROR") as logs:
                end()
            self.assertIn("disk full", logs.output[-1])


def _facts(answer: Answer) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    return answer.status, answer.headers, answer.body
