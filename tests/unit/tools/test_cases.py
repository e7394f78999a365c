from __future__ import annotations

import unittest

from tools.measurement.cases import CASES, DEFAULT, chosen


class CasesTest(unittest.TestCase):
    def test_the_default_is_known_and_of_one_storage(self) -> None:
        self.assertEqual({True}, {case.shared for case in chosen(",".join(DEFAULT))})

    def test_storage_changes_at_most_once(self) -> None:
        storages = [case.shared for case in chosen("block-1s,precopy-1s,postcopy")]
        self.assertEqual([True, True, False], storages)

    def test_unknown_ones_are_named(self) -> None:
        for text in ("precopy-1s,nonesuch", "", ","):
            with self.subTest(text), self.assertRaisesRegex(ValueError, CASES["postcopy"].name):
                chosen(text)
