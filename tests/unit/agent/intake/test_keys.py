"""Digests and fingerprints of keyed requests."""

from __future__ import annotations

import hashlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.intake import keys
from nova_cachemig.agent.intake.identity import Identity
from nova_cachemig.model.write import Body

TEXT = st.text(max_size=20)
REQUESTS = st.tuples(TEXT, TEXT, TEXT, TEXT, st.binary(max_size=20))
NOBODY = Identity((), "10.0.0.1", None)


def bearer(authorization: str) -> Identity:
    return Identity((("authorization", authorization),), "10.0.0.1", None)


def cookies(value: str) -> Identity:
    return Identity((("cookie", value),), "10.0.0.1", None)


def fingerprint(
    method: str, host: str, url: str, content_type: str, body: bytes, identity: Identity = NOBODY
) -> str:
    return keys.fingerprint(method, host, url, content_type, Body.of(body), identity, unread)


def unread(_name: str) -> list[bytes]:
    raise AssertionError("only a form needs the content of a spool file")


class KeysTest(unittest.TestCase):
    @given(TEXT, TEXT, TEXT, TEXT)
    def test_a_key_is_scoped_by_the_login(self, a: str, b: str, c: str, d: str) -> None:
        """Also where parts of one text move into the other."""
        one, other = keys.digest(a, bearer(b).login), keys.digest(c, bearer(d).login)
        self.assertEqual((a, b) == (c, d), one == other)
        self.assertEqual(32, len(one))  # the column's width

    @given(REQUESTS, REQUESTS)
    def test_equal_fingerprints_are_equal_requests(
        self, one: tuple[str, str, str, str, bytes], other: tuple[str, str, str, str, bytes]
    ) -> None:
        self.assertEqual(one == other, fingerprint(*one) == fingerprint(*other))
        self.assertEqual("", keys.difference(fingerprint(*one), fingerprint(*one)))
        self.assertEqual(32, len(fingerprint(*one)))

    def test_what_differs(self) -> None:
        request = ("POST", "h", "/", "", b"1")
        first = fingerprint(*request, cookies("sid=a; csrf=1"))
        changed = fingerprint(*request, cookies("sid=a; csrf=2"))
        self.assertIn("other cookies", keys.difference(first, changed))
        another = fingerprint("POST", "h", "/", "", b"2", cookies("sid=a; csrf=1"))
        self.assertIn("another request", keys.difference(first, another))
        self.assertEqual("", keys.difference(first, fingerprint(*request, cookies("csrf=1;sid=a"))))

    def test_a_spooled_body_counts_like_one_in_memory(self) -> None:
        digest = hashlib.blake2b(b"1", digest_size=16).digest()
        spooled = Body(spool="s", length=1, digest=digest)
        self.assertEqual(
            fingerprint("POST", "h", "/", "", b"1"),
            keys.fingerprint("POST", "h", "/", None, spooled, NOBODY, unread),
        )

    def test_a_form_is_the_same_with_another_boundary(self) -> None:
        one, other = (
            (f"multipart/form-data; boundary={name}", b"--%b\r\nA: b\r\n\r\n1\r\n--%b--\r\n")
            for name in ("xyz", "abcde")
        )
        first = fingerprint("POST", "h", "/", one[0], one[1] % (b"xyz", b"xyz"))
        again = fingerprint("POST", "h", "/", other[0], other[1] % (b"abcde", b"abcde"))
        self.assertEqual(first, again)
        changed = fingerprint("POST", "h", "/", other[0], other[1] % (b"abcde", b"abcdE"))
        self.assertNotEqual(first, changed)
        spooled = Body(spool="s", length=9, digest=b"unused")
        read = {"s": [one[1][:9] % b"xyz", (one[1] % (b"xyz", b"xyz"))[10:]]}
        self.assertEqual(
            fingerprint("POST", "h", "/", one[0], b"".join(read["s"])),
            keys.fingerprint("POST", "h", "/", one[0], spooled, NOBODY, read.__getitem__),
        )

    def test_fresh_keys_differ_and_are_quoted_strings(self) -> None:
        found = {keys.fresh() for _ in range(100)}
        self.assertEqual(100, len(found))
        for key in found:
            self.assertRegex(key, r'\A"[0-9a-f]{32}"\Z')
