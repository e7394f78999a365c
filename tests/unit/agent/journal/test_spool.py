"""Spool files: content, damage, orphans."""

from __future__ import annotations

import contextlib
import stat
import tempfile
import unittest
from pathlib import Path
from typing import IO
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.journal.cipher import Cipher, DecryptionError
from nova_cachemig.agent.journal.spool import CHUNK, Spool
from nova_cachemig.model.write import Body

KEYS = {"k": b"\1" * 32}
CIPHERS = st.sampled_from([Cipher(), Cipher(KEYS, "k")])


def torn(file: IO[bytes], data: bytes) -> None:
    file.write(data[:10])
    raise OSError(28, "full")


class SpoolTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.spool = Spool(Path(directory.name) / "spool")
        self.spool.prepare()

    def store(self, *parts: bytes) -> Body:
        file = self.spool.create()
        for part in parts:
            file.write(part)
        return file.seal()

    def path(self, body: Body) -> Path:
        return self.spool.directory / str(body.spool)

    def test_only_the_agent_can_read_the_directory(self) -> None:
        self.assertEqual(0o700, stat.S_IMODE(self.spool.directory.stat().st_mode))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.binary(max_size=50), max_size=5), CIPHERS)
    def test_round_trip(self, parts: list[bytes], cipher: Cipher) -> None:
        self.spool.cipher = cipher
        whole = b"".join(parts)
        body = self.store(*parts)
        self.assertEqual(len(whole), body.length)
        self.assertEqual(whole, b"".join(self.spool.read(str(body.spool))))
        self.assertTrue(self.spool.intact(body))

    def test_what_was_written_so_far_can_be_read_once(self) -> None:
        for cipher in (Cipher(), Cipher(KEYS, "k")):
            self.spool.cipher = cipher
            file = self.spool.create()
            file.write(b"a" * 100_000)
            taken = file.take()
            self.assertEqual([], list(self.spool.directory.iterdir()))
            self.assertEqual(b"a" * 100_000, b"".join(taken))

    def test_what_was_written_before_the_disk_was_full(self) -> None:
        """The last part of an encrypted file cannot be checked."""
        for cipher, readable in ((Cipher(), True), (Cipher(KEYS, "k"), False)):
            self.spool.cipher = cipher
            file = self.spool.create()
            file.write(b"a" * 100)
            with (
                mock.patch("nova_cachemig.agent.journal.spool._write_all", side_effect=torn),
                self.assertRaises(OSError),
            ):
                file.write(b"b" * (2 * CHUNK))
            with self.subTest(readable=readable), contextlib.ExitStack() as stack:
                if not readable:
                    stack.enter_context(self.assertRaisesRegex(OSError, "not complete"))
                self.assertEqual(b"a" * 100, b"".join(file.take()))
            self.assertEqual([], list(self.spool.directory.iterdir()))

    @settings(deadline=None, max_examples=50)
    @given(st.binary(min_size=1, max_size=50), CIPHERS, st.data())
    def test_damage_is_detected(self, content: bytes, cipher: Cipher, data: st.DataObject) -> None:
        self.spool.cipher = cipher
        body = self.store(content)
        raw = bytearray(self.path(body).read_bytes())
        bit = data.draw(st.integers(0, len(raw) * 8 - 1))
        raw[bit // 8] ^= 1 << bit % 8
        self.path(body).write_bytes(raw)
        self.assertFalse(self.spool.intact(body))
        self.path(body).unlink()
        self.assertFalse(self.spool.intact(body))

    def test_without_the_key(self) -> None:
        self.spool.cipher = Cipher(KEYS, "k")
        body = self.store(b"secret")
        self.assertNotIn(b"secret", self.path(body).read_bytes())
        names = [str(body.spool), "absent.enc", str(self.plain().spool)]
        self.assertEqual(1, self.spool.encrypted_with("k", names))
        self.assertEqual(0, self.spool.encrypted_with("other", names))
        self.spool.cipher = Cipher()
        with self.assertRaises(DecryptionError):
            list(self.spool.read(str(body.spool)))

    def plain(self) -> Body:
        cipher, self.spool.cipher = self.spool.cipher, Cipher()
        try:
            return self.store(b"plain")
        finally:
            self.spool.cipher = cipher

    def test_orphans_and_deletion(self) -> None:
        kept, orphan, removed = self.store(b"1"), self.store(b"2"), self.store(b"3")
        unsealed = self.spool.create()
        unsealed.delete()
        self.spool.remove(str(removed.spool))
        self.spool.remove(str(removed.spool))  # a second time is no error
        self.assertEqual(1, self.spool.remove_orphans({str(kept.spool)}))
        self.assertEqual([self.path(kept)], list(self.spool.directory.iterdir()))
        self.assertFalse(self.path(orphan).exists())
