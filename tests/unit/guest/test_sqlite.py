"""The store on disk, compared to a model."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import sqlite3
import stat
import tempfile
import unittest
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nova_cachemig.guest.response import Response
from nova_cachemig.guest.sqlite import SqliteStore
from nova_cachemig.guest.store import Record, State, StoreError, StoreFull

RESPONSE = Response(201, "CREATED", (("X", "1"), ("Set-Cookie", "a=\xe9"), ("X", "2")), b"\0body")


class SqliteStoreTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "keys.db"
        self.now = 1000.0
        self.store = self.open()

    def open(self, **options) -> SqliteStore:
        store = SqliteStore(self.path, clock=lambda: self.now, **options)
        self.addCleanup(store.close)
        return store

    def kept(self, key: str = "k", fingerprint: str = "f", **options) -> Record | None:
        return (options.pop("store", None) or self.store).claim(key, fingerprint, again=False)

    def test_once_and_in_another_process(self) -> None:
        self.assertIsNone(self.kept())
        self.assertEqual(Record("f", State.IN_FLIGHT), self.kept())
        other = self.open()
        self.assertEqual(Record("f", State.IN_FLIGHT), self.kept(store=other))
        self.store.record_response("k", RESPONSE)
        self.assertEqual(Record("f", State.RESPONDED, RESPONSE), self.kept(store=other))
        self.assertEqual(
            Record("f", State.RESPONDED, RESPONSE), other.claim("k", "other", again=True)
        )

    def test_responses_survive_the_process(self) -> None:
        self.kept()
        self.store.record_response("k", RESPONSE)
        self.store.close()
        self.assertEqual(Record("f", State.RESPONDED, RESPONSE), self.kept(store=self.open()))

    def test_what_was_in_flight_when_its_process_ended(self) -> None:
        for key in ("at start", "later"):
            self.kept(key)
        early = self.open()
        self.assertEqual(State.IN_FLIGHT, self.kept("later", store=early).state)
        self.store.close()
        self.assertEqual(State.UNKNOWN, self.kept("later", store=early).state)
        fresh = self.open()
        self.assertEqual(Record("f", State.UNKNOWN), self.kept("at start", store=fresh))
        self.assertEqual(State.UNKNOWN, fresh.claim("later", "other", again=True).state)
        self.assertIsNone(fresh.claim("later", "f", again=True))
        self.assertEqual(Record("f", State.IN_FLIGHT), early.claim("later", "f", again=True))
        fresh.record_response("later", RESPONSE)

    def test_release_and_unknown(self) -> None:
        self.kept()
        self.store.release("k")
        self.assertIsNone(self.kept())
        self.store.mark_unknown("k")
        self.assertEqual(Record("f", State.UNKNOWN), self.kept())
        self.now += 86400.0
        self.assertIsNone(self.kept())

    def test_only_the_claimer_may_finish(self) -> None:
        self.kept()
        other = self.open()
        other.release("k")
        for end in (other.mark_unknown, lambda key: other.record_response(key, RESPONSE)):
            with self.assertRaises(StoreError):
                end("k")
        self.assertEqual(Record("f", State.IN_FLIGHT), self.kept())
        self.store.record_response("k", RESPONSE)
        with self.assertRaises(StoreError):
            self.store.record_response("k", RESPONSE)

    def test_kept_until_it_expires(self) -> None:
        store = self.open(keep=10.0)
        store.claim("k", "f", again=False)
        self.now += 100.0  # however long it takes
        self.assertEqual(State.IN_FLIGHT, self.kept().state)
        store.record_response("k", RESPONSE)
        self.now += 9.9
        self.assertEqual(State.RESPONDED, self.kept().state)
        self.now += 0.2
        self.assertIsNone(self.kept(fingerprint="another"))

    def test_an_expired_key_is_new_also_among_many(self) -> None:
        for number in range(100):
            self.kept(f"k{number}")
            self.store.record_response(f"k{number}", RESPONSE)
        self.now += 86401.0
        self.assertIsNone(self.kept("k99", "another"))
        self.assertEqual(Record("another", State.IN_FLIGHT), self.kept("k99"))

    def test_bounded_in_keys(self) -> None:
        store = self.open(keep=10.0, most_keys=3)
        for number in range(3):
            self.assertIsNone(self.kept(f"k{number}", store=store))
            store.record_response(f"k{number}", RESPONSE)
        for _ in range(2):
            with self.assertRaises(StoreFull):
                self.kept("new", store=store)
        self.assertEqual(State.RESPONDED, self.kept("k0", store=store).state)
        self.now += 10.1
        self.assertIsNone(self.kept("new", store=store))

    def test_bounded_in_bytes_also_with_many_expired_keys(self) -> None:
        for number in range(200):
            self.kept(f"k{number}")
            self.store.record_response(f"k{number}", RESPONSE)
        self.now += 86401.0
        small = self.open(most_bytes=40 * 256)
        full = 0
        while True:  # each removes some, though it is refused itself
            try:
                self.assertIsNone(self.kept("new", store=small))
                break
            except StoreFull:
                full += 1
        self.assertEqual(2, full)

    def test_private_files(self) -> None:
        self.kept()
        found = list(self.path.parent.iterdir())
        self.assertEqual(4, len(found))  # the file, its -wal, its -shm, the directory
        for path in found:
            self.assertEqual(0, stat.S_IMODE(path.stat().st_mode) & 0o077, path)

    def test_errors_name_the_file(self) -> None:
        self.store.close()
        missing = SqliteStore(self.path.parent / "none" / "keys.db")
        with self.assertRaisesRegex(StoreError, "keys.db"):
            missing.claim("k", "f", again=False)
        self.path.write_bytes(b"no database " * 100)
        broken = self.open()
        for _ in range(2):
            with self.assertRaisesRegex(StoreError, "not a database"):
                self.kept(store=broken)

    def test_a_newer_format(self) -> None:
        self.kept()
        self.store.close()
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA user_version = 7")
        connection.close()
        with self.assertRaisesRegex(StoreError, "format 7"):
            self.kept(store=self.open())

    def test_many_threads_and_stores(self) -> None:
        stores = [self.store, self.open(), self.open()]

        def claim(number: int) -> bool:
            store = stores[number % 3]
            return store.claim(f"k{number % 7}", "f", again=False) is None

        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            self.assertEqual(7, sum(pool.map(claim, range(210))))

    def test_a_child_opens_its_own(self) -> None:
        self.kept("parent's")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                gc.collect()
                seen = self.kept("parent's")
                mine = self.kept("child's")
                code = 0 if seen == Record("f", State.IN_FLIGHT) and mine is None else 2
            finally:
                os._exit(code)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        self.assertEqual(State.UNKNOWN, self.kept("child's").state)
        self.assertEqual(State.IN_FLIGHT, self.kept("parent's").state)
        self.store.record_response("parent's", RESPONSE)

    def test_invalid_limits(self) -> None:
        for wrong in ({"keep": 0}, {"most_keys": 0}, {"most_bytes": 0}):
            with self.assertRaises(ValueError, msg=wrong):
                SqliteStore(self.path, **wrong)


class Model(RuleBasedStateMachine):
    """Random histories: the store says what a dictionary would."""

    keys = st.sampled_from(["a", "b", "c"])
    marks = st.sampled_from(["f", "g"])

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "keys.db"
        self.now = 0.0
        self.known: dict[str, tuple[str, State, float | None]] = {}
        self.store = self.make()

    def make(self) -> SqliteStore:
        return SqliteStore(self.path, keep=10.0, clock=lambda: self.now)

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()

    def in_flight(self, key: str) -> bool:
        return key in self.known and self.known[key][1] is State.IN_FLIGHT

    @rule(key=keys, mark=marks, again=st.booleans())
    def claim(self, key: str, mark: str, again: bool) -> None:
        fingerprint, state, until = self.known.get(key, ("", None, None))
        got = self.store.claim(key, mark, again=again)
        gone = state is None or (until is not None and until <= self.now)
        if gone or (state is State.UNKNOWN and again and fingerprint == mark):
            assert got is None
        else:
            response = RESPONSE if state is State.RESPONDED else None
            assert got == Record(fingerprint, state, response)
            return
        self.known[key] = (mark, State.IN_FLIGHT, None)

    @rule(key=keys)
    def record_response(self, key: str) -> None:
        if self.in_flight(key):
            self.store.record_response(key, RESPONSE)
            self.known[key] = (self.known[key][0], State.RESPONDED, self.now + 10.0)

    @rule(key=keys)
    def release(self, key: str) -> None:
        self.store.release(key)
        if self.in_flight(key):
            del self.known[key]

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = self.make()
        self.store.release("nothing")  # it is opened now
        for key, (mark, state, _until) in self.known.items():
            if state is State.IN_FLIGHT:
                self.known[key] = (mark, State.UNKNOWN, self.now + 10.0)

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def totals_are_right(self) -> None:
        if self.path.exists():
            connection = sqlite3.connect(self.path)
            stored = connection.execute("SELECT keys, bytes FROM totals").fetchone()
            seen = connection.execute("SELECT count(*), total(size) FROM keys").fetchone()
            connection.close()
            assert stored == seen, (stored, seen)


ModelTest = Model.TestCase
ModelTest.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
