"""Keys that are missing, or different, are found before any record is read."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import sqlalchemy as sa

from nova_cachemig.agent.journal import keycheck
from nova_cachemig.agent.journal.cipher import Cipher
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.progress import Progress
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.schema import CIPHER_KEYS, METADATA, WRITES
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.statements import Append, RecordResponse, perform
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

OLD, NEW = b"\1" * 32, b"\2" * 32


class KeyCheckTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.spool = Spool(Path(directory.name) / "spool", Cipher({"old": OLD}, "old"))
        self.spool.prepare()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.addCleanup(self.engine.dispose)
        METADATA.create_all(self.engine)
        self.check()

    def check(self, cipher: Cipher | None = None, lost: tuple[str, ...] = (),
              progress: Progress | None = None) -> set[str]:  # fmt: skip
        """Return the names of the recorded keys afterwards."""
        if cipher is not None:
            self.spool.cipher = cipher
        with self.engine.begin() as connection:
            keycheck.check(connection, lost, self.spool, progress or Progress(complete=True))
            return set(connection.execute(sa.select(CIPHER_KEYS.c.key_id)).scalars())

    def write(self, body: Body | None = None) -> None:
        body = Body.of(b"x") if body is None else body
        write = AcceptedWrite("shop", 1, 1.0, "PUT", "/", "h", (), body, "c")
        with self.engine.begin() as connection:
            perform(connection, [Append(write, to_row(write, self.spool.cipher))])

    def test_the_same_key(self) -> None:
        self.write()
        self.assertEqual({"old"}, self.check(Cipher({"old": OLD}, "old")))

    def test_another_key_of_the_same_name(self) -> None:
        with self.assertRaisesRegex(JournalError, "is not the key 'old' that encrypted"):
            self.check(Cipher({"old": NEW}, "old"))

    def test_a_missing_key_that_nothing_needs_is_removed(self) -> None:
        self.assertEqual({"new"}, self.check(Cipher({"new": NEW}, "new")))

    def test_a_missing_key_of_a_write(self) -> None:
        self.write()
        with self.assertRaisesRegex(JournalError, "missing: 1 writes, 0 responses and 0 spool"):
            self.check(Cipher({"new": NEW}, "new"))
        self.assertEqual({"new", "old"}, self.check(lost=("old",)))

    def test_a_missing_key_of_a_response(self) -> None:
        self.write()
        row = response_to_row(GuestResponse(200), "shop", 1, 5, self.spool.cipher)
        with self.engine.begin() as connection:
            perform(connection, [RecordResponse("shop", 1, row)])
        with self.assertRaisesRegex(JournalError, "missing: 0 writes, 1 responses and 0 spool"):
            self.check(Cipher())

    def test_a_missing_key_of_a_response_in_the_progress_log(self) -> None:
        encrypted = self.spool.cipher
        self.spool.cipher = Cipher()
        self.write()
        self.spool.cipher = encrypted
        progress = Progress(complete=True, key_ids={("shop", 1): "old", ("shop", 9): "old"})
        with self.assertRaisesRegex(JournalError, "missing: 0 writes, 1 responses and 0 spool"):
            self.check(Cipher(), progress=progress)

    def test_a_missing_key_of_a_spool_file(self) -> None:
        file = self.spool.create()
        file.write(b"content")
        body = file.seal()
        self.write(body)
        with self.engine.begin() as connection:
            connection.execute(sa.update(WRITES).values(key_id=None))
        with self.assertRaisesRegex(JournalError, "missing: 0 writes, 0 responses and 1 spool"):
            self.check(Cipher())
