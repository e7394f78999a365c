"""Decayed counts, and the mixture of half-lives."""

import math
import random
import unittest

from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.rates import ForwardDecay, Rates


def pages(rates, count):
    return [Page(PageKey("s", "h", f"/{i}"), rates.experts) for i in range(count)]


def rated(rates, page, now, horizon=60.0):
    factors = rates.factors(now, horizon)
    return sum(a * c for a, c in zip(factors, page.counts, strict=True))


class ForwardDecayTest(unittest.TestCase):
    def test_halves_in_a_half_life(self):
        decay = ForwardDecay(60.0, 1000.0)
        self.assertAlmostEqual(2.0, decay.weight(1060.0) / decay.weight(1000.0))

    def test_never_decays(self):
        decay = ForwardDecay(math.inf, 0.0)
        self.assertEqual(decay.weight(0.0), decay.weight(1e12))
        self.assertIsNone(decay.rescale(1e12))

    def test_landmark_moves_before_overflow(self):
        decay = ForwardDecay(1.0, 0.0)
        stored = decay.weight(390.0)
        factor = decay.rescale(400.0)
        self.assertIsNotNone(factor)
        self.assertAlmostEqual(2.0**-10, stored * factor / decay.weight(400.0))
        self.assertTrue(math.isfinite(decay.weight(1e15)))


class RatesTest(unittest.TestCase):
    def test_predicts_the_number_of_requests(self):
        rates = Rates([600.0, 3600.0], 0.0)
        often, seldom = pages(rates, 2)
        for second in range(6000):  # one per second, and one in 10 s
            rates.count(often, second)
            if second % 10 == 0:
                rates.count(seldom, second)
        self.assertAlmostEqual(60.0, rated(rates, often, 6000.0), delta=6.0)
        self.assertAlmostEqual(6.0, rated(rates, seldom, 6000.0), delta=0.6)

    def test_rescaling_keeps_order_and_size(self):
        rates = Rates([1.0, 10.0], 0.0)
        a, b = pages(rates, 2)
        for at in range(2000):
            rates.rescale(lambda: [a, b], at)
            rates.count(a, at)
            if at % 2:
                rates.count(b, at)
        self.assertTrue(all(math.isfinite(c) for c in (*a.counts, *b.counts)))
        self.assertAlmostEqual(0.5, rated(rates, b, 2000.0) / rated(rates, a, 2000.0), delta=0.2)

    def test_learns_the_best_half_life(self):
        draw = random.Random(3)
        steady, moving = Rates([60.0], 0.0), Rates([60.0], 0.0)
        some, others = pages(steady, 20), pages(moving, 400)
        for second in range(4000):
            steady.count(draw.choice(some), second)
            moving.count(others[second // 100 * 10 + draw.randrange(10)], second)
        self.assertGreater(steady.weights[-1], 0.8)  # the plain count
        self.assertGreater(moving.weights[0], 0.8)  # the short half-life

    def test_the_totals_exclude_a_removed_page(self):
        rates = Rates([60.0], 0.0)
        a, b = pages(rates, 2)
        for _ in range(10):
            rates.count(a, 1.0)
            rates.count(b, 1.0)
        rates.remove(b)
        self.assertAlmostEqual(rates.per_second(1.0), rated(rates, a, 1.0, 1.0))
