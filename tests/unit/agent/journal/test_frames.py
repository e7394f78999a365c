"""An encrypted file is decrypted completely and under its own name, or not at all."""

from __future__ import annotations

import io
import unittest
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.journal import frames
from nova_cachemig.agent.journal.cipher import SALT_LENGTH, TAG_LENGTH, Cipher, DecryptionError

KEYS = {"k": b"\1" * 32}
CIPHER = Cipher(KEYS, "k")
FRAME = 8
HEADER = 1 + len("k") + SALT_LENGTH


def encrypt(parts: list[bytes], name: str = "n") -> bytes:
    encryptor = frames.Encryptor(CIPHER, name)
    return b"".join([frame for part in parts for frame in encryptor.add(part)] + [encryptor.end()])


def decrypt(data: bytes, name: str = "n", cipher: Cipher = CIPHER) -> bytes:
    return b"".join(frames.decrypted(cipher, name, io.BytesIO(data)))


class FramesTest(unittest.TestCase):
    def setUp(self) -> None:
        small = mock.patch.object(frames, "FRAME", FRAME)
        small.start()
        self.addCleanup(small.stop)

    @given(st.lists(st.binary(max_size=30), max_size=8))
    def test_round_trip(self, parts: list[bytes]) -> None:
        text = b"".join(parts)
        data = encrypt(parts)
        self.assertEqual(text, decrypt(data, cipher=Cipher(KEYS)))
        count = max(1, -(-len(text) // FRAME))
        self.assertEqual(HEADER + len(text) + count * TAG_LENGTH, len(data))

    @given(st.binary(max_size=40), st.data())
    def test_a_flipped_bit(self, text: bytes, data: st.DataObject) -> None:
        raw = bytearray(encrypt([text]))
        bit = data.draw(st.integers(0, len(raw) * 8 - 1))
        raw[bit // 8] ^= 1 << bit % 8
        with self.assertRaises(DecryptionError):
            decrypt(bytes(raw))

    @given(st.binary(max_size=40), st.data())
    def test_a_cut_end(self, text: bytes, data: st.DataObject) -> None:
        raw = encrypt([text])
        with self.assertRaises(DecryptionError):
            decrypt(raw[: data.draw(st.integers(0, len(raw) - 1))])

    def test_frames_that_are_cut_off_repeated_or_exchanged(self) -> None:
        raw = encrypt([b"a" * FRAME + b"b" * FRAME + b"c" * FRAME])
        head, rest = raw[:HEADER], raw[HEADER:]
        size = FRAME + TAG_LENGTH
        a, b, c = (rest[at : at + size] for at in (0, size, 2 * size))
        self.assertEqual(b"a" * FRAME + b"b" * FRAME + b"c" * FRAME, decrypt(head + a + b + c))
        for wrong in ([a, b], [a], [], [b, a, c], [a, b, b, c], [a, c], [a, b, c, c], [c]):
            with self.assertRaises(DecryptionError):
                decrypt(head + b"".join(wrong))

    def test_another_name_and_another_key(self) -> None:
        raw = encrypt([b"text"])
        for wrong in (
            lambda: decrypt(raw, name="m"),
            lambda: decrypt(raw, cipher=Cipher({"k": b"\2" * 32})),
            lambda: decrypt(raw, cipher=Cipher()),
        ):
            with self.assertRaises(DecryptionError):
                wrong()

    def test_the_key_is_named_in_the_file(self) -> None:
        self.assertEqual("k", frames.read_key_id(io.BytesIO(encrypt([]))))
        for wrong in (b"", b"\2\xff\xff"):
            with self.assertRaises(DecryptionError):
                frames.read_key_id(io.BytesIO(wrong))
