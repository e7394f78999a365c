"""Window means over histories with gaps, against the slow way."""

import unittest

import numpy as np

from nova_cachemig.forecast.history import History


class HistoryTest(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(3)
        self.values = rng.uniform(0, 100, (5, 60))
        self.values[rng.random(self.values.shape) < 0.3] = np.nan
        self.values[0, :4] = np.nan
        self.values[1, 20:40] = np.nan
        self.history = History.of(self.values, 300.0)
        self.origins = np.arange(60)

    def test_what_is_no_load_is_a_gap(self):
        history = History.of(np.array([[1.0, -1.0, np.inf, -np.inf, np.nan, 1e16]]), 300.0)
        self.assertEqual([True, False, False, False, False, False], history.seen[0].tolist())

    def test_rounding_below_zero_is_a_load_of_zero(self):
        history = History.of(np.array([[-2.2e-14, -0.0, 1.0, -1e-5]]), 300.0)
        np.testing.assert_array_equal([0.0, 0.0, 1.0, np.nan], history.values[0])

    def test_trailing(self):
        means = self.history.trailing(self.origins, 12)
        for h in range(5):
            for t in range(60):
                window = self.values[h, max(t - 11, 0) : t + 1]
                if np.isfinite(window).any():
                    self.assertAlmostEqual(np.nanmean(window), means[h, t])
        last = self.values[1, :20][np.isfinite(self.values[1, :20])][-1]
        self.assertEqual(last, means[1, 39])
        self.assertTrue(np.isnan(means[0, :4]).all())

    def test_ahead_needs_half_the_samples_and_a_whole_horizon(self):
        ahead, peak = (f(self.origins, 6) for f in (self.history.ahead, self.history.ahead_peak))
        for h in range(5):
            for t in range(60):
                window = self.values[h, t + 1 : t + 7]
                if t + 6 < 60 and np.isfinite(window).sum() >= 3:
                    self.assertAlmostEqual(np.nanmean(window), ahead[h, t])
                    self.assertEqual(np.nanmax(window), peak[h, t])
                else:
                    self.assertTrue(np.isnan(ahead[h, t]) and np.isnan(peak[h, t]))

    def test_small_changes_of_a_large_load_are_not_lost(self):
        row = 1e14 + np.arange(500.0)
        means = History.of(row[None], 60.0).trailing(np.array([499]), 2)
        self.assertEqual(1e14 + 498.5, means[0, 0])
