"""The behaviour of a guest follows from the seed alone."""

from __future__ import annotations

import collections
import unittest

from tests.workload.behaviour import Way, behaviour


class BehaviourTest(unittest.TestCase):
    def test_the_same_seed_gives_the_same_behaviour(self) -> None:
        first = [behaviour(7, f"w-{n}", 0, frozenset()) for n in range(200)]
        self.assertEqual(first, [behaviour(7, f"w-{n}", 0, frozenset()) for n in range(200)])
        self.assertNotEqual(first, [behaviour(8, f"w-{n}", 0, frozenset()) for n in range(200)])
        self.assertNotEqual(first, [behaviour(7, f"w-{n}", 1, frozenset()) for n in range(200)])

    def test_each_way_occurs_and_can_be_left_out(self) -> None:
        seen = collections.Counter(behaviour(1, f"w-{n}", 0, frozenset()).way for n in range(9000))
        self.assertEqual(set(Way), set(seen))
        plain = frozenset(Way) - {Way.PLAIN}
        left = {behaviour(1, f"w-{n}", 0, frozenset(plain)).way for n in range(300)}
        self.assertEqual({Way.PLAIN}, left)
