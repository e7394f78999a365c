"""The shares of the cache's memory."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine import names, shares

SIZES = ("1k", "100k", "1m", "16m", "64m", "256m", "1g", "64g")


class SharesTest(unittest.TestCase):
    def test_together_they_are_the_cache(self) -> None:
        for size in SIZES[2:]:
            kib = int(size[:-1]) * {"m": 1 << 10, "g": 1 << 20}[size[-1]]
            found = shares.shares(size)
            total = sum(share.kib for share in found) + shares.transient_kib(size)
            self.assertLessEqual(total, kib)
            self.assertGreater(total, 0.99 * kib - 64)
            self.assertEqual(len(found), len({share.name for share in found}))
            self.assertEqual(sorted(found, key=lambda s: -s.kib), found)

    def test_none_is_useless(self) -> None:
        for size in SIZES:
            found = shares.shares(size)
            self.assertGreater(found[-1].kib, 0)
            if len(found) > 1:
                self.assertGreaterEqual(found[-1].kib, 6 << 10)

    def test_a_larger_cache_has_more(self) -> None:
        numbers = [len(shares.shares(size)) for size in SIZES]
        self.assertEqual([1, 1, 1, 1, 3, 15, 31, 63], numbers)

    def test_the_largest_page(self) -> None:
        self.assertEqual(4096, shares.largest_page(shares.Share("s", 16), 1 << 20))
        self.assertEqual(1 << 20, shares.largest_page(shares.Share("s", 1 << 20), 1 << 20))


class ChooseTest(unittest.TestCase):
    def test_each_service_has_its_own_while_there_are_enough(self) -> None:
        taken: list[int] = []
        for _ in range(7):
            taken.append(shares.choose(taken, 7))
        self.assertEqual(list(range(7)), taken)

    def test_then_they_are_spread(self) -> None:
        taken: list[int] = []
        for _ in range(21):
            taken.append(shares.choose(taken, 7))
        self.assertEqual({3}, {taken.count(share) for share in range(7)})

    def test_the_largest_free_one_comes_first(self) -> None:
        self.assertEqual(1, shares.choose([0, 2], 7))

    def test_a_share_of_a_former_configuration(self) -> None:
        self.assertEqual(0, shares.choose([50], 3))


class EntryTest(unittest.TestCase):
    def test_a_new_generation_keeps_the_share(self) -> None:
        entry = names.state_entry("armed", 3, 4096)
        self.assertRegex(entry, r"^armed:[0-9a-f]+\.3\.4096$")
        renewed = names.renewed(entry, "open")
        self.assertRegex(renewed, r"^open:[0-9a-f]+\.3\.4096$")
        self.assertNotEqual(entry.partition(":")[2], renewed.partition(":")[2])
        self.assertTrue(names.renewed(entry).startswith("armed:"))
        self.assertEqual(3, names.share_of(renewed))

    def test_an_entry_of_an_earlier_version_has_none(self) -> None:
        for entry in ("", "armed:18c", "armed:18c.", "armed:18c.x.1"):
            self.assertIsNone(names.share_of(entry))
        self.assertIsNone(names.share_of(names.renewed("armed:18c")))
