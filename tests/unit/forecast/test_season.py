import unittest

import numpy as np

from nova_cachemig.forecast import season
from nova_cachemig.forecast.history import History
from tests.unit.forecast import families


class FindTest(unittest.TestCase):
    def test_any_period_is_found(self):
        for slot in (3, 7, 10, 25):
            found = season.find(families.alternating(slot, slot * 12))
            self.assertEqual([2 * slot, 2 * slot], found.lags[:2].tolist())
            self.assertTrue((found.strength[:2] > 0.8).all())

    def test_noise_has_none(self):
        found = season.find(families.noise(200, 288))
        self.assertLess((found.lags > 0).mean(), 0.02)

    def test_slow_noise_seldom_seems_to_have_one(self):
        found = season.find(families.persistent(200, 288))
        self.assertLess((found.lags > 0).mean(), 0.1)

    def test_constant_and_short_have_none(self):
        self.assertEqual([0], season.find(np.full((1, 100), 3.0)).lags.tolist())
        self.assertEqual([0], season.find(np.ones((1, 5))).lags.tolist())

    def test_a_period_seen_twice_is_not_yet_one(self):
        self.assertEqual(0, season.find(families.alternating(20, 80)).lags[0])


class ProfileTest(unittest.TestCase):
    def test_it_is_the_mean_of_the_same_phase_before(self):
        row = np.arange(40.0)
        history = History.of(row[None], 300.0)
        lags = np.array([[10]])
        ahead = season.profile(history, np.array([35]), lags, 1, 5, 4)
        expected = np.mean([row[s + 1 : s + 5].mean() for s in (25, 15, 5)])
        self.assertAlmostEqual(expected, ahead[0, 0])

    def test_a_horizon_longer_than_the_period_looks_back_whole_periods(self):
        row = np.arange(40.0)
        history = History.of(row[None], 300.0)
        ahead = season.profile(history, np.array([35]), np.array([[3]]), 1, 6, 5)
        starts = [35 - 6 * k for k in range(1, 7)]
        self.assertAlmostEqual(np.mean([row[s + 1 : s + 6].mean() for s in starts]), ahead[0, 0])

    def test_no_period_says_nothing(self):
        history = History.of(np.ones((1, 40)), 300.0)
        none = season.profile(history, np.array([35]), np.array([[0]]), 1, 5, 4)
        self.assertTrue(np.isnan(none[0, 0]))
