"""What came to hosts lately."""

from __future__ import annotations

import math
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.scheduler.settling import Settling


class Coming(unittest.TestCase):
    def test_it_settles(self) -> None:
        now = 0.0
        settling = Settling(lambda: now)

        def unknown(used: int) -> float:
            return float(settling.unknown(["a"], [used], 1800.0)[0])

        self.assertEqual(0.0, unknown(10))
        now = 60.0
        self.assertEqual(4.0, unknown(14))
        self.assertEqual(4.0, unknown(14))
        now += 1800.0
        self.assertAlmostEqual(4.0 / 2.718281828, unknown(14), places=6)
        now += 18000.0
        self.assertAlmostEqual(-4.0, unknown(10), places=3)

    def test_switched_off(self) -> None:
        settling = Settling(lambda: 0.0)
        settling.unknown(["a"], [1], 0.0)
        self.assertEqual([0.0], settling.unknown(["a"], [9], 0.0).tolist())

    def test_hosts_come_in_any_order_and_number(self) -> None:
        settling = Settling(lambda: 0.0)
        self.assertEqual([0.0, 0.0], settling.unknown(["a", "b"], [4, 8], 1800.0).tolist())
        self.assertEqual([3.0, 0.0], settling.unknown(["b", "c"], [11, 2], 1800.0).tolist())
        found = settling.unknown(["c", "a", "b"], [1, 4, 11], 1800.0)
        self.assertEqual([-1.0, 0.0, 3.0], found.tolist())

    @given(
        st.lists(
            st.tuples(
                st.floats(0.0, 4000.0),
                st.dictionaries(st.sampled_from("abcd"), st.integers(0, 64), min_size=1),
            ),
            max_size=8,
        )
    )
    def test_as_the_plain_formula(self, requests: list[tuple[float, dict[str, int]]]) -> None:
        now = 0.0
        settling = Settling(lambda: now)
        known: dict[str, tuple[float, float, float]] = {}
        for later, used in requests:
            now += later
            found = settling.unknown(list(used), list(used.values()), 600.0)
            for (host, vcpus), unknown in zip(used.items(), found.tolist(), strict=True):
                level, seen, at = known.get(host, (vcpus, vcpus, now))
                level += (seen - level) * (1.0 - math.exp((at - now) / 600.0))
                known[host] = (level, vcpus, now)
                self.assertAlmostEqual(vcpus - level, unknown, places=6)
