"""Encryption of what the journal keeps: AES-256-GCM, each text bound to what it belongs to.

Random nonces of 96 bits are safe for 2^32 texts under one key, which a busy cache node reaches
within days. So no text is encrypted with the operator's key itself: each start of the agent, and
each spool file, derives one of its own from it and a random salt (HKDF-SHA256) and counts its
nonces. The salt stands beside the text; the key's name is kept by the caller.
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


class Undecipherable(ValueError):
    """Encrypted with a key that is not at hand, or not what was encrypted for this place."""


class Cipher:
    """The keys at hand. Without ``key_id``, what is new is kept in the clear."""

    def __init__(self, keys: Mapping[str, bytes] | None = None, key_id: str | None = None) -> None:
        """``key_id`` names the key for what is new."""
        self._keys = dict(keys or {})
        self.key_id = key_id
        self._salt = os.urandom(SALT_LENGTH)
        self._count = itertools.count()  # next() is one step for all threads
        self.derived = functools.lru_cache(maxsize=64)(self._derive)
        self._own = None if key_id is None else self.derived(key_id, self._salt)

    @property
    def key_ids(self) -> Collection[str]:
        """Names of the keys at hand."""
        return self._keys.keys()

    def _derive(self, key_id: str, salt: bytes) -> AESGCM:
        key = self._keys.get(key_id)
        if key is None:
            raise Undecipherable(f"it is encrypted with key {key_id!r}, which is not at hand")
        return AESGCM(HKDF(SHA256(), KEY_LENGTH, salt, _INFO).derive(key))

    def encrypt(self, text: bytes, about: bytes) -> bytes:
        """Encrypt with the key ``key_id``. ``about``: where it belongs; not kept with it."""
        assert self._own is not None, "there is no key to encrypt with"
        nonce = next(self._count).to_bytes(NONCE_LENGTH, "big")
        return self._salt + nonce + self._own.encrypt(nonce, text, about)

    def decrypt(self, key_id: str, data: bytes, about: bytes) -> bytes:
        """Return the text. Raises Undecipherable, with the reason."""
        salt, nonce = data[:SALT_LENGTH], data[SALT_LENGTH : SALT_LENGTH + NONCE_LENGTH]
        rest = data[SALT_LENGTH + NONCE_LENGTH :]
        key = self.derived(key_id, salt)
        try:
            return key.decrypt(nonce, rest, about)
        except (InvalidTag, ValueError) as exc:
            why = f"it is not what was encrypted with key {key_id!r} for this place"
            raise Undecipherable(why) from exc

    def proof(self) -> bytes:
        """Return what tells this ``key_id``'s key from another of the same name."""
        assert self.key_id is not None
        return self.encrypt(_PROVED, self.key_id.encode())

    def proves(self, key_id: str, proof: bytes) -> bool:
        """Whether the key of this name is the one that made ``proof``."""
        try:
            return self.decrypt(key_id, proof, key_id.encode()) == _PROVED
        except Undecipherable:
            return False


CLEAR: Final = Cipher()
"""No keys: nothing is encrypted, and nothing that is can be read."""
