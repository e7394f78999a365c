"""Multipart forms that are repeated with another boundary."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.guest import form
from nova_cachemig.guest.body import Body

PARTS = st.lists(st.binary(max_size=20).filter(lambda part: b"--" not in part), max_size=4)
CUTS = st.lists(st.integers(0, 100), max_size=6)


def encode(parts: list[bytes], boundary: bytes) -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + (
        b"--" + boundary + b"--\r\n"
    )


def cut(data: bytes, at: list[int]) -> list[bytes]:
    ends = [*sorted(min(one, len(data)) for one in at), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class FormTest(unittest.TestCase):
    def test_types(self) -> None:
        for text, expected in (
            ("multipart/form-data; boundary=xy", ("multipart/form-data", b"xy")),
            ('Multipart/Mixed; Boundary="x y"; a=b', ("Multipart/Mixed; a=b", b"x y")),
            ("multipart/form-data", ("multipart/form-data", None)),
            ("text/plain; boundary=xy", ("text/plain; boundary=xy", None)),
            ("", ("", None)),
        ):
            with self.subTest(text):
                self.assertEqual(expected, form.split_type(text))

    @given(PARTS, PARTS, CUTS, CUTS)
    def test_the_parts_count_and_neither_the_boundary_nor_the_pieces(
        self, one: list[bytes], other: list[bytes], first: list[int], second: list[int]
    ) -> None:
        digests = [
            form.digest(cut(encode(parts, boundary), at), boundary)
            for parts, boundary, at in ((one, b"zz", first), (other, b"-longer-", second))
        ]
        self.assertEqual(one == other, digests[0] == digests[1])

    def test_a_body_on_disk(self) -> None:
        data = encode([b"1" * 100_000, b"2"], b"zz")
        body = Body(1 << 20)
        self.addCleanup(body.close)
        body.add(data)
        self.assertEqual(form.digest([data], b"zz"), body.rewind(b"zz"))
        self.assertEqual(data, body.file.read())
