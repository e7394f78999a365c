"""The operator's review of a real journal: pages, chunks, decisions."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from nova_cachemig.agent.journal import review
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.offline import engine_of, spool_of
from nova_cachemig.agent.journal.review import Review
from nova_cachemig.agent.journal.spool import CHUNK
from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc.bus import check_primitive
from tests.functional.replay.path import conf_for
from tests.unit.agent.journal import disk

IN_DOUBT = (WriteState.IN_DOUBT,)
LARGE = os.urandom(2 * CHUNK + 17)
WHOLE_CHUNKS = b"x" * (2 * CHUNK)
BODIES = {"shop/1": b"one", "shop/2": LARGE, "shop/10": b"", "till/1": WHOLE_CHUNKS}


class ReviewTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.review = self.made()

    def made(self, **options: Any) -> Review:
        conf = conf_for(self.root, **options)
        disk.make(conf, BODIES)
        engine = engine_of(conf)
        self.addCleanup(engine.dispose)
        return Review(engine, spool_of(conf))

    def names(self, service: str | None = None) -> list[str]:
        found, after = [], None
        while True:
            page = self.review.writes(IN_DOUBT, service, after, content=True)
            check_primitive(page)
            found += [one["write"] for one in page["writes"]]
            if (after := page["next"]) is None:
                return found

    def body(self, name: str) -> bytes:
        data, chunk, last = b"", 0, False
        while not last:
            found = self.review.body(name, chunk)
            check_primitive(found)
            data, chunk, last = data + base64.b64decode(found["data"]), chunk + 1, found["last"]
        return data

    def test_pages_contain_every_write_once_in_its_order(self) -> None:
        self.assertEqual(list(BODIES), self.names())
        self.assertEqual(["till/1"], self.names("till"))
        for limits in ({"PAGE": 1}, {"PAGE": 3}, {"PAGE": 4}, {"PAGE_BYTES": 1}):
            with self.subTest(limits), mock.patch.multiple(review, **limits):
                self.assertEqual(list(BODIES), self.names())

    def test_one_write(self) -> None:
        shown = self.review.write("shop/1")
        check_primitive(shown)
        json.dumps(shown)
        self.assertEqual(("POST", "b25l"), (shown["method"], shown["body"]))
        self.assertNotIn("body", self.review.write("shop/2"))

    def test_every_body_comes_back_chunk_by_chunk(self) -> None:
        for name, data in BODIES.items():
            with self.subTest(name):
                self.assertEqual(data, self.body(name))

    def test_behind_the_last_chunk_there_is_nothing(self) -> None:
        for name in BODIES:
            self.assertEqual({"data": "", "last": True}, self.review.body(name, 9))

    def test_decisions_are_kept_with_who_made_them(self) -> None:
        self.review.resend("shop/1", "it is missing", "root@cache1")
        self.review.discard("shop/2", "", "alice@cache1")
        self.assertEqual(["shop/10", "till/1"], self.names())
        first, second = (self.review.write(f"shop/{n}") for n in (1, 2))
        self.assertEqual(("resend", "discarded"), (first["state"], second["state"]))
        self.assertIn("root@cache1 wants it sent again. it is missing", first["note"])
        self.assertIn("alice@cache1 discarded it", second["note"])

    def test_a_decision_that_is_not_possible_names_the_state(self) -> None:
        self.review.discard("shop/1", "", "root@cache1")
        with self.assertRaisesRegex(JournalError, "shop/1 is discarded; expected: in_doubt"):
            self.review.resend("shop/1", "", "root@cache1")

    def test_a_name_that_is_none_is_a_sentence(self) -> None:
        for name in ("shop", "/", "shop/x", "shop/99"):
            with self.subTest(name), self.assertRaises(JournalError):
                self.review.body(name, 0)


class EncryptedReviewTest(ReviewTest):
    def made(self, **options: Any) -> Review:
        keys = self.root / "journal.keys"
        keys.write_text(f"k1 {base64.b64encode(b'1' * 32).decode()}\n")
        keys.chmod(0o600)
        return super().made(encryption="file", key_file=str(keys))

    def test_a_file_that_is_cut_off_is_an_error(self) -> None:
        path = self.root / "spool" / self.review.write("shop/2")["spool"]
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - CHUNK)
        with self.assertRaisesRegex(JournalError, "cannot read the body of shop/2"):
            self.body("shop/2")
