"""Encrypts the journal's content with AES-256-GCM. Each text is bound to the place it belongs to.

Random nonces of 96 bits are safe for 2^32 texts under one key, which a busy cache node reaches
within days. Therefore no text is encrypted with the operator's key itself. Each start of the agent,
and each spool file, derives a new key from that key and a random salt (HKDF-SHA256), and uses a
counter as nonce. The salt is stored with the text; the caller stores the key's name.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Collection, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_LENGTH: Final = 32  # bytes
SALT_LENGTH: Final = 16
NONCE_LENGTH: Final = 12
TAG_LENGTH: Final = 16
_INFO: Final = b"nova-cachemig journal 1"
_PROVED: Final = b"this key"


class DecryptionError(ValueError):
    """The key is not available, or the text was not encrypted with it for this place."""


class Cipher:
    """The available keys. Without ``key_id``, new content is stored unencrypted."""

    def __init__(self, keys: Mapping[str, bytes] | None = None, key_id: str | None = None) -> None:
        """``key_id`` names the key that encrypts new content."""
        self._keys = dict(keys or {})
        self.key_id = key_id
        self._salt = os.urandom(SALT_LENGTH)
        self._counter = itertools.count()  # next() is atomic for all threads
        self.derived = functools.lru_cache(maxsize=64)(self._derive)
        self._session_key = None if key_id is None else self.derived(key_id, self._salt)

    @property
    def key_ids(self) -> Collection[str]:
        """Names of the available keys."""
        return self._keys.keys()

    def _derive(self, key_id: str, salt: bytes) -> AESGCM:
        key = self._keys.get(key_id)
        if key is None:
            raise DecryptionError(f"it is encrypted with key {key_id!r}, which is not available")
        return AESGCM(HKDF(SHA256(), KEY_LENGTH, salt, _INFO).derive(key))

    def encrypt(self, text: bytes, place: bytes) -> bytes:
        """Encrypt with a key derived from ``key_id``.

        ``place`` says where the text belongs: the associated data, which is not stored with it.
        """
        assert self._session_key is not None, "there is no key to encrypt with"
        nonce = next(self._counter).to_bytes(NONCE_LENGTH, "big")
        return self._salt + nonce + self._session_key.encrypt(nonce, text, place)

    def decrypt(self, key_id: str, data: bytes, place: bytes) -> bytes:
        """Return the text that :meth:`encrypt` got. Raises DecryptionError with the reason."""
        salt, nonce = data[:SALT_LENGTH], data[SALT_LENGTH : SALT_LENGTH + NONCE_LENGTH]
        rest = data[SALT_LENGTH + NONCE_LENGTH :]
        key = self.derived(key_id, salt)
        try:
            return key.decrypt(nonce, rest, place)
        except (InvalidTag, ValueError) as exc:
            why = f"it was not encrypted with key {key_id!r} for this place, or it is damaged"
            raise DecryptionError(why) from exc

    def proof(self) -> bytes:
        """Return what distinguishes the key ``key_id`` from another key of the same name."""
        assert self.key_id is not None
        return self.encrypt(_PROVED, self.key_id.encode())

    def proves(self, key_id: str, proof: bytes) -> bool:
        """Whether the available key of this name is the one that made ``proof``."""
        try:
            return self.decrypt(key_id, proof, key_id.encode()) == _PROVED
        except DecryptionError:
            return False


CLEAR: Final = Cipher()
"""No keys: encrypts nothing, and cannot decrypt."""
