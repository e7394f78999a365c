import unittest

import numpy as np

from nova_cachemig.forecast import simple
from nova_cachemig.forecast.history import History


class SimpleTest(unittest.TestCase):
    def points(self, method, row, step=300.0):
        history = History.of(np.array([row], dtype=float), step)
        return method.points(history, np.array([len(row) - 1]), 12)[0, 0]

    def test_last_value_is_the_last_that_was_seen(self):
        self.assertEqual(2.0, self.points(simple.LastValue(), [1, 2, np.nan]))

    def test_mean_of_an_hour_takes_as_many_samples_as_an_hour_has(self):
        self.assertAlmostEqual(2.0, self.points(simple.WindowMean(), [99] + [1, 3] * 6))
        self.assertAlmostEqual(2.0, self.points(simple.WindowMean(), [99] + [1, 3] * 30, step=60.0))

    def test_ewma(self):
        row, keep = [4.0, 8.0, 1.0], 0.7
        expected = (1 + keep * 8 + keep**2 * 4) / (1 + keep + keep**2)
        self.assertAlmostEqual(expected, self.points(simple.Ewma(), row))

    def test_ewma_decays_with_time_not_with_samples(self):
        coarse = self.points(simple.Ewma(), [0.0] * 50 + [10.0] * 2)
        fine = self.points(simple.Ewma(), [0.0] * 250 + [10.0] * 10, step=60.0)
        self.assertAlmostEqual(coarse, fine, places=6)

    def test_ewma_over_a_gap(self):
        expected = (1 + 0.7**2 * 4) / (1 + 0.7**2)
        self.assertAlmostEqual(expected, self.points(simple.Ewma(), [4.0, np.nan, 1.0]))
