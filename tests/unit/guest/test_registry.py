"""The registry's decisions, also with a store that fails."""

from __future__ import annotations

import json
import unittest

from nova_cachemig.guest.registry import KeyRegistry
from nova_cachemig.guest.response import Response
from nova_cachemig.guest.settings import AfterCrash, Settings
from nova_cachemig.guest.store import Record, State, StoreError, StoreFull


class RecordingStore:
    """A store that the guest's application provides."""

    def __init__(self, claim: Record | Exception | None = None) -> None:
        self._claim = claim
        self.calls: list[tuple[object, ...]] = []
        self.fails = False

    def claim(self, key: str, fingerprint: str, *, again: bool) -> Record | None:
        self.calls.append(("claim", key, fingerprint, again))
        if isinstance(self._claim, Exception):
            raise self._claim
        return self._claim

    def record_response(self, key: str, response: Response) -> None:
        self._end("record_response", key, response.status)

    def mark_unknown(self, key: str) -> None:
        self._end("mark_unknown", key)

    def release(self, key: str) -> None:
        self._end("release", key)

    def _end(self, *call: object) -> None:
        self.calls.append(call)
        if self.fails:
            raise StoreError("disk full")


def _code(response: Response | None) -> tuple[int, str]:
    assert response is not None
    return response.status, json.loads(response.body)["code"]


class KeyRegistryTest(unittest.TestCase):
    def make(self, claim: Record | Exception | None = None, **settings) -> KeyRegistry:
        self.store = RecordingStore(claim)
        return KeyRegistry(self.store, Settings(**settings))

    def test_requests_that_need_a_key(self) -> None:
        registry = self.make(methods=frozenset({"POST"}))
        self.assertIsNone(registry.key("PUT", "nonsense", lambda _name: ""))
        self.assertIsNone(registry.key("POST", None, lambda _name: ""))
        self.assertEqual((400, "key-invalid"), _code(registry.key("POST", "x", lambda _name: "")))
        required = self.make(required=True)
        self.assertEqual((400, "key-missing"), _code(required.key("POST", None, lambda _n: "")))

    def test_scope(self) -> None:
        registry = self.make(scope=("authorization", "x-tenant"))
        seen = {
            registry.key("POST", '"k"', {"authorization": one, "x-tenant": two}.__getitem__)
            for one in ("", "a")
            for two in ("", "a")
        }
        self.assertEqual(4, len(seen))

    def test_cookies_in_the_scope(self) -> None:
        for scope, one, other, expected in (
            (("cookie",), "sid=a; cart=1", "sid=a; cart=2", "other cookies"),
            (("cookie",), "sid=a; cart=1", "sid=b; cart=1", "other client"),
            (("cookie:cart",), "sid=a; cart=1", "sid=b; cart=1", "other cookies"),
            (("cookie",), "sid=a; cart=1", "cart=1;sid=a", "same"),
            (("authorization",), "sid=a", "sid=b", "same"),
        ):
            registry = self.make(scope=scope)
            headers = [
                lambda name, value=value: value if name == "cookie" else ""
                for value in (one, other)
            ]
            keys = {registry.key("POST", '"k"', header) for header in headers}
            cookies = {registry.cookies(header) for header in headers}
            found = "other cookies" if len(cookies) > 1 else "same"
            with self.subTest(scope=scope, other=other):
                self.assertEqual(expected, "other client" if len(keys) > 1 else found)

    def test_clients_that_differ_by_default(self) -> None:
        registry = self.make()
        seen = {
            registry.key("POST", '"k"', lambda name, found=found: found.get(name, ""))
            for found in (
                {},
                {"authorization": "a"},
                {"cookie": "session=a"},
                {"cookie": "session=b"},
                {"x-api-key": "a"},
            )
        }
        self.assertEqual(5, len(seen))

    def test_a_store_that_fails_refuses_requests(self) -> None:
        for error, expected in (
            (StoreError("x"), (503, "keys-unavailable")),
            (StoreFull("x"), (503, "keys-full")),
        ):
            with self.assertLogs("nova_cachemig.guest.registry", "ERROR"):
                refusal = self.make(error).claim("k", "f")
            self.assertEqual(expected, _code(refusal))
            self.assertTrue(refusal.has("retry-after"))

    def test_repeated_requests(self) -> None:
        response = Response(201, "CREATED", (("A", "b"),), b"x")
        partial = Response(202, "", (("Location", "/1"), ("A", "b")), b"", whole=False)
        for record, expected in (
            (Record("g", State.RESPONDED, response), (422, "key-reused")),
            (Record("g", State.IN_FLIGHT), (422, "key-reused")),
            (Record("f", State.IN_FLIGHT), (409, "in-flight")),
            (Record("f", State.UNKNOWN), (409, "outcome-unknown")),
            (Record("f", State.RESPONDED, partial), (409, "response-not-kept")),
        ):
            got = self.make(record).claim("k", "f")
            self.assertEqual(expected, _code(got))
            self.assertEqual(expected[1] == "in-flight", got.has("retry-after"))
        self.assertEqual(202, json.loads(got.body)["first_status"])
        again = self.make(Record("f", State.RESPONDED, response)).claim("k", "f")
        added = (("Idempotent-Replayed", "true"), ("Content-Length", "1"))
        self.assertEqual((201, (("A", "b"), *added), b"x"), _facts(again))

    def test_the_setting_for_crashes_reaches_the_store(self) -> None:
        for choice, again in ((AfterCrash.AGAIN, True), (AfterCrash.REFUSE, False)):
            self.assertIsNone(self.make(after_crash=choice).claim("k", "f"))
            self.assertEqual([("claim", "k", "f", again)], self.store.calls)

    def test_outcomes(self) -> None:
        registry = self.make()
        for status in (200, 400, 500, 503, 429):
            registry.record_response("k", Response(status))
        registry.record_failure("k")
        expected = [("record_response", "k", status) for status in (200, 400, 500)]
        expected += [("release", "k"), ("release", "k"), ("record_response", "k", 500)]
        self.assertEqual(expected, self.store.calls)

    def test_a_store_that_fails_afterwards_is_logged(self) -> None:
        registry = self.make()
        self.store.fails = True
        for end in (
            lambda: registry.record_response("k", Response(200)),
            lambda: registry.mark_unknown("k"),
            lambda: registry.release("k"),
        ):
            with self.assertLogs("nova_cachemig.guest.registry", "ERROR") as logs:
                end()
            self.assertIn("disk full", logs.output[-1])


def _facts(response: Response) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    return response.status, response.headers, response.body
