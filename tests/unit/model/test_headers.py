"""Rules of header fields."""

from __future__ import annotations

import unittest

from nova_cachemig.model.headers import end_to_end, is_token


class HeadersTest(unittest.TestCase):
    def test_hop_by_hop_headers_end_here(self) -> None:
        kept = end_to_end(
            [("connection", "close, X-Mine"), ("x-mine", "1"), ("te", "trailers"), ("a", "1"),
             ("transfer-encoding", "chunked"), ("a", "2"), ("keep-alive", "timeout=5")]
        )  # fmt: skip
        self.assertEqual((("a", "1"), ("a", "2")), kept)

    def test_tokens(self) -> None:
        for text in ("a", "my+cookie", "!#$%&'*+-.^_`|~", "__Host-id"):
            self.assertTrue(is_token(text), text)
        for text in ("", "a b", "a;b", "a=b", "a,b", "(a)", "a\n", "ä", 'a"'):
            self.assertFalse(is_token(text), text)
