"""The format of encrypted files: frames of AES-256-GCM, so that no reader needs the whole file.

A file begins with the length of the key's name (one byte), the name, and a salt. Frames of 256 KiB
of text with a tag each follow; the last one may be shorter. A frame's nonce consists of its number
and of whether it is the last. Its associated data is the file's name. So frames cannot be cut off,
moved or exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag

from nova_cachemig.agent.journal.cipher import SALT_LENGTH, TAG_LENGTH, Cipher, DecryptionError

FRAME: Final = 256 * 1024  # bytes of text


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class Encryptor:
    """Encrypts the text of the file ``name`` frame by frame."""

    def __init__(self, cipher: Cipher, name: str) -> None:
        assert cipher.key_id is not None, "there is no key to encrypt with"
        salt, key_id = os.urandom(SALT_LENGTH), cipher.key_id
        self._key = cipher.derived(key_id, salt)
        self._name = name.encode()
        self._number = 0
        self._text = bytearray()
        self._header = bytes([len(key_id)]) + key_id.encode() + salt  # empty once written

    def add(self, data: bytes) -> Iterator[bytes]:
        """Take text; yield the frames that are full, to be written."""
        self._text += data
        while len(self._text) > FRAME:  # not >=: the last frame must be marked as such
            yield self._frame(bytes(self._text[:FRAME]), last=False)
            del self._text[:FRAME]

    def end(self) -> bytes:
        """Return the last frame."""
        return self._frame(bytes(self._text), last=True)

    def _frame(self, text: bytes, *, last: bool) -> bytes:
        header, self._header = self._header, b""
        nonce = _nonce(self._number, last=last)
        self._number += 1
        return header + self._key.encrypt(nonce, text, self._name)


def read_key_id(file: BinaryIO) -> str:
    """Read the key's name from the beginning of a file. Raises DecryptionError."""
    length = file.read(1)
    try:
        return file.read(length[0]).decode("ascii")
    except (IndexError, UnicodeDecodeError) as exc:
        raise DecryptionError("its file does not begin with a key name") from exc


def decrypted(cipher: Cipher, name: str, file: BinaryIO, first: int = 0) -> Iterator[bytes]:
    """Yield the frames of the file ``name``, from number ``first`` on.

    May raise DecryptionError after some of them. Yields nothing behind the last frame.
    """
    key_id = read_key_id(file)
    key = cipher.derived(key_id, file.read(SALT_LENGTH))
    file.seek(first * (FRAME + TAG_LENGTH), os.SEEK_CUR)
    number, frame = first, file.read(FRAME + TAG_LENGTH)
    while frame or not first:
        following = file.read(FRAME + TAG_LENGTH)
        try:
            yield key.decrypt(_nonce(number, last=not following), frame, name.encode())
        except (InvalidTag, ValueError) as exc:
            why = f"its file was not encrypted with key {key_id!r} under this name, or is damaged"
            raise DecryptionError(why) from exc
        if not following:
            return
        number, frame = number + 1, following
