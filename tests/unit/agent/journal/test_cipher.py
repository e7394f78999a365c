"""A text can be decrypted only with its own key and for its own place."""

from __future__ import annotations

import concurrent.futures
import unittest

from hypothesis import assume, given
from hypothesis import strategies as st

from nova_cachemig.agent.journal.cipher import (
    CLEAR,
    NONCE_LENGTH,
    SALT_LENGTH,
    Cipher,
    DecryptionError,
)

OLD, NEW = b"\1" * 32, b"\2" * 32


class CipherTest(unittest.TestCase):
    @given(st.binary(), st.binary())
    def test_round_trip_and_after_a_restart(self, text: bytes, about: bytes) -> None:
        data = Cipher({"old": OLD}, "old").encrypt(text, about)
        if len(text) >= 8:  # shorter ones may occur by chance
            self.assertNotIn(text, data)
        later = Cipher({"old": OLD, "new": NEW}, "new")
        self.assertEqual(text, later.decrypt("old", data, about))

    @given(st.binary(), st.binary(), st.binary())
    def test_another_place(self, text: bytes, about: bytes, other: bytes) -> None:
        assume(about != other)
        cipher = Cipher({"old": OLD}, "old")
        with self.assertRaises(DecryptionError):
            cipher.decrypt("old", cipher.encrypt(text, about), other)

    @given(st.binary(), st.data())
    def test_a_flipped_bit_and_a_cut_end(self, text: bytes, data: st.DataObject) -> None:
        cipher = Cipher({"old": OLD}, "old")
        raw = bytearray(cipher.encrypt(text, b"here"))
        bit = data.draw(st.integers(0, len(raw) * 8 - 1))
        cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
        raw[bit // 8] ^= 1 << bit % 8
        for damaged in (raw, cut):
            with self.assertRaises(DecryptionError):
                cipher.decrypt("old", bytes(damaged), b"here")

    def test_another_key_of_the_name_and_no_key(self) -> None:
        data = Cipher({"old": OLD}, "old").encrypt(b"text", b"here")
        with self.assertRaisesRegex(DecryptionError, "not encrypted with key 'old'"):
            Cipher({"old": NEW}).decrypt("old", data, b"here")
        with self.assertRaisesRegex(DecryptionError, "key 'old', which is not available"):
            CLEAR.decrypt("old", data, b"here")

    def test_a_proof_distinguishes_a_key_from_another_of_its_name(self) -> None:
        proof = Cipher({"old": OLD}, "old").proof()
        self.assertTrue(Cipher({"old": OLD, "new": NEW}, "new").proves("old", proof))
        self.assertFalse(Cipher({"old": NEW}, "old").proves("old", proof))
        self.assertFalse(Cipher({"new": OLD}, "new").proves("new", proof))

    def test_no_nonce_comes_twice_under_one_salt(self) -> None:
        ciphers = [Cipher({"old": OLD}, "old") for _ in range(2)]

        def many(number: int) -> list[bytes]:
            cipher = ciphers[number % 2]
            return [cipher.encrypt(b"", b"")[: SALT_LENGTH + NONCE_LENGTH] for _ in range(500)]

        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            used = [one for some in threads.map(many, range(8)) for one in some]
        self.assertEqual(4000, len(set(used)))
        self.assertEqual(2, len({one[:SALT_LENGTH] for one in used}))
