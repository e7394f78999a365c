from __future__ import annotations

import unittest

from tools.measurement.cases import CASES, DEFAULT, chosen
from tools.measurement.command import parser


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

    def test_their_loads_are_understood(self) -> None:
        words = ["load", "--url", "http://127.0.0.1", "--out", "/dev/null", "--rate", "120"]
        for case in CASES.values():
            with self.subTest(case.name):
                args = parser().parse_args([*words, *case.load])
                self.assertEqual("http://127.0.0.1", args.url)

    def test_the_drains_writes_come_within_its_blackout(self) -> None:
        args = parser().parse_args(
            ["load", "--url", "http://127.0.0.1", "--out", "/dev/null", *CASES["drain-10k"].load]
        )
        self.assertGreater(args.surge, 10_000)
        self.assertLess(args.surge / args.surge_rate, 10.0)
