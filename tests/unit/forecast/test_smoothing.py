import unittest

import numpy as np

from nova_cachemig.forecast import smoothing
from nova_cachemig.forecast.history import History
from tests.unit.forecast import families


class SmoothingTest(unittest.TestCase):
    def test_holt_follows_a_line(self):
        history = History.of(np.arange(400.0)[None], 300.0)
        point = smoothing.Holt().points(history, np.array([399]), 12)[0, 0]
        self.assertAlmostEqual(399 + 6.5, point, places=3)

    def test_holt_winters_knows_the_day_and_holt_does_not(self):
        history = History.of(families.daily(10, 6), 300.0)
        origins = np.arange(4 * 288, 6 * 288 - 36, 24)
        actual = history.ahead(origins, 36)
        errors = [
            np.abs(method.points(history, origins, 36) - actual).mean()
            for method in (smoothing.Holt(), smoothing.HoltWinters())
        ]
        self.assertLess(errors[1], errors[0] / 3)

    def test_without_a_whole_day_they_are_the_same(self):
        history = History.of(families.noise(3, 200), 300.0)
        origins = np.array([50, 199])
        np.testing.assert_array_equal(
            smoothing.Holt().points(history, origins, 12),
            smoothing.HoltWinters().points(history, origins, 12),
        )
