"""The digest of a body, compressed or not."""

import gzip
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm.digest import BodyDigest


def digest(body, encoding="", size=7):
    found = BodyDigest(encoding)
    for at in range(0, len(body), size):
        found.feed(body[at : at + size])
    return found.result()


class DigestTest(unittest.TestCase):
    @given(st.binary(max_size=500), st.integers(1, 600))
    def test_compression_changes_nothing(self, body, size):
        plain = digest(body, "", size)
        self.assertEqual(16, len(plain))
        for mtime in (1, 2):
            self.assertEqual(plain, digest(gzip.compress(body, mtime=mtime), "GZip", size))

    @given(st.binary(max_size=50), st.binary(max_size=50))
    def test_other_bytes_have_another_digest(self, one, other):
        self.assertEqual(one == other, digest(one) == digest(other))

    def test_no_digest(self):
        whole = gzip.compress(b"text" * 99)
        self.assertEqual(b"", digest(whole[:-1], "gzip"))
        self.assertEqual(b"", digest(whole + b"x", "gzip", 10_000))
        self.assertEqual(b"", digest(b"no gzip", "gzip"))
        self.assertEqual(b"", digest(gzip.compress(bytes(9 << 20)), "gzip", 10_000))

    def test_an_empty_body(self):
        self.assertEqual(digest(b""), digest(b"", "gzip"))
