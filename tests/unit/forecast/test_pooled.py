import unittest

import numpy as np

from nova_cachemig.forecast import pooled, simple
from nova_cachemig.forecast.history import History
from tests.unit.forecast import families


class PooledRegressionTest(unittest.TestCase):
    def errors(self, values, methods):
        history = History.of(values, 300.0)
        origins = np.arange(history.length // 2, history.length - 12, 6)
        every = np.arange(0, history.length, 3)
        where = np.searchsorted(every, origins)
        actual = history.ahead(every, 12)[:, where]
        return [
            np.nanmean(np.abs(m.points(history, every, 12)[:, where] - actual)) for m in methods
        ]

    def test_it_learns_how_load_persists(self):
        ours, last, hour = self.errors(
            families.persistent(20, 600),
            (pooled.PooledRegression(30.0), simple.LastValue(), simple.WindowMean()),
        )
        self.assertLess(ours, 0.98 * min(last, hour))

    def test_it_learns_the_day(self):
        ours, last, hour = self.errors(
            families.daily(20, 6),
            (pooled.PooledRegression(), simple.LastValue(), simple.WindowMean()),
        )
        self.assertLess(ours, 0.5 * min(last, hour))

    def test_without_evidence_it_is_the_mean_of_the_hour(self):
        history = History.of(families.noise(3, 12), 300.0)
        origins = np.arange(12)
        np.testing.assert_allclose(
            pooled.PooledRegression().points(history, origins, 12),
            simple.WindowMean().points(history, origins, 12),
        )

    def test_never_outside_what_the_host_was_seen_to_do(self):
        rng = np.random.default_rng(0)
        history = History.of(rng.pareto(1.0, (10, 300)) ** 2, 300.0)
        origins = np.arange(300)
        points = pooled.PooledRegression().points(history, origins, 12)
        self.assertTrue((points >= np.minimum.accumulate(history.values, axis=1)).all())
        self.assertTrue((points <= np.maximum.accumulate(history.values, axis=1)).all())

    def test_completed_counts_origins_whose_target_is_known(self):
        origins = np.array([0, 4, 8, 12, 16])
        self.assertEqual([0, 0, 1, 2, 3], pooled.completed(origins, 8).tolist())
