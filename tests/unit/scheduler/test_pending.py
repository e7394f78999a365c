"""vCPUs of recent placements."""

from __future__ import annotations

import math
import unittest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.scheduler.pending import PendingPlacements


def vcpus(*used: float) -> np.ndarray:
    return np.array(used, dtype=np.float64)


class Coming(unittest.TestCase):
    def test_the_forecast_learns_of_them_in_time(self) -> None:
        now = 0.0
        pending = PendingPlacements(lambda: now)

        def unknown(used: int) -> float:
            return float(pending.vcpus(["a"], vcpus(used), 1800.0)[0])

        self.assertEqual(0.0, unknown(10))
        now = 60.0
        self.assertEqual(4.0, unknown(14))
        self.assertEqual(4.0, unknown(14))
        now += 1800.0
        self.assertAlmostEqual(4.0 / 2.718281828, unknown(14), places=6)
        now += 18000.0
        self.assertAlmostEqual(-4.0, unknown(10), places=3)

    def test_switched_off(self) -> None:
        pending = PendingPlacements(lambda: 0.0)
        pending.vcpus(["a"], vcpus(1), 0.0)
        self.assertEqual([0.0], pending.vcpus(["a"], vcpus(9), 0.0).tolist())

    def test_hosts_come_in_any_order_and_number(self) -> None:
        pending = PendingPlacements(lambda: 0.0)
        self.assertEqual([0.0, 0.0], pending.vcpus(["a", "b"], vcpus(4, 8), 1800.0).tolist())
        self.assertEqual([3.0, 0.0], pending.vcpus(["b", "c"], vcpus(11, 2), 1800.0).tolist())
        found = pending.vcpus(["c", "a", "b"], vcpus(1, 4, 11), 1800.0)
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
        pending = PendingPlacements(lambda: now)
        known: dict[str, tuple[float, float, float]] = {}
        for later, used in requests:
            now += later
            found = pending.vcpus(list(used), vcpus(*used.values()), 600.0)
            for (host, seen_now), unknown in zip(used.items(), found.tolist(), strict=True):
                level, seen, at = known.get(host, (seen_now, seen_now, now))
                level += (seen - level) * (1.0 - math.exp((at - now) / 600.0))
                known[host] = (level, seen_now, now)
                self.assertAlmostEqual(seen_now - level, unknown, places=6)
