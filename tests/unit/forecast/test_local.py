import unittest

import numpy as np

from nova_cachemig.forecast import local
from nova_cachemig.forecast.history import History


class LocalRegressionTest(unittest.TestCase):
    def test_a_line_goes_on_also_over_gaps(self):
        row = 3 + 2 * np.arange(30.0)
        row[[22, 27]] = np.nan
        point = local.LocalRegression().points(History.of(row[None], 300.0), np.array([29]), 4)
        self.assertAlmostEqual(3 + 2 * (29 + 2.5), point[0, 0])

    def test_only_the_last_ten_count(self):
        row = np.concatenate([np.full(50, 1e6), np.full(10, 5.0)])
        point = local.LocalRegression().points(History.of(row[None], 300.0), np.array([59]), 4)
        self.assertAlmostEqual(5.0, point[0, 0])
