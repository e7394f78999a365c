import unittest

import numpy as np

from nova_cachemig.forecast import features
from nova_cachemig.forecast.history import History
from tests.unit.forecast import families


class RowsTest(unittest.TestCase):
    def feature(self, rows, name):
        return rows.x[..., features.NAMES.index(name)]

    def rows(self, values, steps=12):
        history = History.of(np.asarray(values, dtype=float), 300.0)
        return features.rows(history, np.arange(0, history.length, 5), steps)

    def test_a_name_for_each_feature_and_all_finite_over_gaps(self):
        values = families.noise(4, 400)
        values[1] = np.nan
        values[2, 100:300] = np.nan
        rows = self.rows(values)
        self.assertEqual(len(features.NAMES), rows.x.shape[2])
        self.assertTrue(np.isfinite(rows.x).all())
        self.assertTrue((rows.scale > 0).all())
        self.assertTrue(np.isnan(rows.base[1]).all())

    def test_differences_to_the_hour(self):
        values = np.array([[*range(1, 100), 200.0]])
        history = History.of(values, 300.0)
        rows = features.rows(history, np.array([99]), 12)
        base = values[0, -12:].mean()
        self.assertAlmostEqual(200 - base, self.feature(rows, "last")[0, 0])
        self.assertAlmostEqual(200 - base, self.feature(rows, "last, where above")[0, 0])
        self.assertAlmostEqual(89 - base, self.feature(rows, "least of 1h")[0, 0])
        self.assertAlmostEqual(values[0, -24:].mean() - base, self.feature(rows, "mean 2h")[0, 0])

    def test_no_season_says_nothing_and_a_season_says_what_comes(self):
        calm = self.rows(families.noise(3, 250))
        self.assertEqual(0, np.abs(self.feature(calm, "season ahead")).max())
        history = History.of(families.alternating(6, 240), 300.0)
        rows = features.rows(history, np.array([239]), 6)  # then host 0 is busy again
        self.assertGreater(self.feature(rows, "season ahead")[0, 0], 20)
        self.assertLess(self.feature(rows, "season ahead")[1, 0], -20)
        self.assertGreater(rows.seasonal[0, 0], 60)
