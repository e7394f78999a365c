from __future__ import annotations

import itertools
import random
import statistics
import unittest

from hypothesis import given
from hypothesis import strategies as st

from tools.measurement.plan import Ask, Mix, arrivals, asks, body


def some(count: int, mix: Mix, seed: int = 1) -> list[Ask]:
    rng = random.Random(seed)
    pages = itertools.repeat("/page/1")
    return list(itertools.islice(asks(arrivals(100, "poisson", rng), pages, mix, rng), count))


class ArrivalsTest(unittest.TestCase):
    def test_uniform(self) -> None:
        at = list(itertools.islice(arrivals(100, "uniform", random.Random(1)), 500))
        self.assertAlmostEqual(5.0, at[-1])
        self.assertAlmostEqual(0.01, at[0])

    def test_from_an_instant_on(self) -> None:
        at = list(itertools.islice(arrivals(100, "uniform", random.Random(1), 7.0), 2))
        self.assertAlmostEqual(7.02, at[-1])

    def test_poisson_has_the_rate_and_the_spread(self) -> None:
        at = list(itertools.islice(arrivals(100, "poisson", random.Random(1)), 20_000))
        waits = [b - a for a, b in itertools.pairwise(at)]
        self.assertAlmostEqual(0.01, statistics.mean(waits), delta=0.0003)
        self.assertAlmostEqual(0.01, statistics.stdev(waits), delta=0.0005)


class AsksTest(unittest.TestCase):
    def test_shares(self) -> None:
        made = some(20_000, Mix(writes=0.2, item_reads=0.1))
        writes = [ask for ask in made if not ask.is_read]
        self.assertAlmostEqual(0.2, len(writes) / len(made), delta=0.01)
        self.assertEqual({"PUT", "POST", "DELETE"}, {ask.method for ask in writes})
        self.assertTrue(all(ask.item and ask.path.startswith("/item/") for ask in writes))
        items = [ask for ask in made if ask.is_read and ask.item]
        self.assertAlmostEqual(0.1, len(items) / len(made), delta=0.01)

    def test_no_writes(self) -> None:
        made = some(1000, Mix(writes=0, item_reads=0))
        self.assertEqual({("GET", "/page/1", False)}, {(a.method, a.path, a.item) for a in made})

    def test_the_seed_makes_the_plan(self) -> None:
        self.assertEqual(some(200, Mix()), some(200, Mix()))
        self.assertNotEqual(some(200, Mix()), some(200, Mix(), seed=2))


class BodyTest(unittest.TestCase):
    @given(st.integers(1, 2000))
    def test_size(self, size: int) -> None:
        self.assertEqual(size, len(body("r-1", size)))

    def test_no_two_are_alike(self) -> None:
        self.assertNotEqual(body("r-1", 80), body("r-11", 80))
