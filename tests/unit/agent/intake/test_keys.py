"""Digests and fingerprints of keyed requests."""

from __future__ import annotations

import hashlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.intake import keys
from nova_cachemig.model.write import Body

TEXT = st.text(max_size=20)
REQUESTS = st.tuples(TEXT, TEXT, TEXT, TEXT, st.binary(max_size=20))


def fingerprint(method: str, host: str, url: str, content_type: str, body: bytes) -> str:
    return keys.fingerprint(method, host, url, content_type, Body.of(body))


class KeysTest(unittest.TestCase):
    @given(TEXT, TEXT, TEXT, TEXT)
    def test_a_key_is_scoped_by_authorization(self, a: str, b: str, c: str, d: str) -> None:
        """Also where parts of one text move into the other."""
        self.assertEqual((a, b) == (c, d), keys.digest(a, b) == keys.digest(c, d))

    @given(REQUESTS, REQUESTS)
    def test_equal_fingerprints_are_equal_requests(
        self, one: tuple[str, str, str, str, bytes], other: tuple[str, str, str, str, bytes]
    ) -> None:
        self.assertEqual(one == other, fingerprint(*one) == fingerprint(*other))
        self.assertEqual(fingerprint(*one), fingerprint(*one))

    def test_a_spooled_body_counts_like_one_in_memory(self) -> None:
        digest = hashlib.blake2b(b"1", digest_size=16).digest()
        spooled = Body(spool="s", length=1, digest=digest)
        self.assertEqual(
            fingerprint("POST", "h", "/", "", b"1"),
            keys.fingerprint("POST", "h", "/", None, spooled),
        )

    def test_fresh_keys_differ_and_are_quoted_strings(self) -> None:
        found = {keys.fresh() for _ in range(100)}
        self.assertEqual(100, len(found))
        for key in found:
            self.assertRegex(key, r'\A"[0-9a-f]{32}"\Z')
