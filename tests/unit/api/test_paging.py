"""Pages of a list."""

from __future__ import annotations

import unittest

from nova_cachemig.api import paging
from nova_cachemig.api.errors import ApiError


class PagingTest(unittest.TestCase):
    def test_cut(self) -> None:
        items = ["a", "b", "c"]
        for marker, limit, expected in (
            (None, 2, (["a", "b"], True)),
            (None, 3, (["a", "b", "c"], False)),
            ("a", 2, (["b", "c"], False)),
            ("c", 2, ([], False)),
        ):
            with self.subTest(marker=marker, limit=limit):
                self.assertEqual(expected, paging.cut(items, marker, limit, str))
        with self.assertRaises(ApiError):
            paging.cut(items, "x", 1, str)

    def test_limit(self) -> None:
        self.assertEqual([5, 3, 5], [paging.limit_of(q, 5) for q in ({}, {"limit": "3"}, {"limit": "9"})])  # fmt: skip # noqa: E501

    def test_next(self) -> None:
        (link,) = paging.next_links("http://x", {"limit": "1", "marker": "a"}, "shop/1")
        self.assertEqual("http://x?limit=1&marker=shop%2F1", link["href"])
