import unittest

import numpy as np

from nova_cachemig.forecast import adaptive, simple
from nova_cachemig.forecast.history import History
from tests.unit.forecast import families


def families_of_load():
    rng = np.random.default_rng(4)
    shifts = np.repeat(rng.gamma(2, 10, (20, 8)), 75, axis=1) + rng.normal(0, 1, (20, 600))
    return {
        "persistent": families.persistent(20, 600),
        "noise": families.noise(20, 600),
        "day": families.daily(20, 4),
        "walk": 50 + rng.normal(0, 0.3, (20, 600)).cumsum(axis=1),
        "shifts": np.clip(shifts, 0, None),
        "spikes": 10 + 60.0 * (rng.random((20, 600)) < 0.03) + rng.random((20, 600)),
    }


class AdaptiveTest(unittest.TestCase):
    def test_it_is_never_much_worse_than_the_best_simple_method(self):
        for name, values in families_of_load().items():
            history = History.of(values, 300.0)
            origins = np.arange(0, history.length, 4)
            actual = history.ahead(origins, 12)[:, len(origins) // 3 :]

            def error(method, history=history, origins=origins, actual=actual):
                points = method.points(history, origins, 12)[:, len(origins) // 3 :]
                return np.sqrt(np.nanmean((points - actual) ** 2))

            best = min(map(error, (simple.LastValue(), simple.WindowMean(), simple.Ewma())))
            with self.subTest(name):
                self.assertLess(error(adaptive.Adaptive()), 1.05 * best)

    def test_with_load_that_alternates_it_names_the_host_that_will_be_idle(self):
        slot = 10  # ten minutes: one sample per minute
        for samples in (80, 90, 100, 110, 120):  # at the ends of slots
            matrix = families.matrix(families.alternating(slot, samples), step=60.0)
            hosts = adaptive.Adaptive().forecast(matrix, 600.0).hosts
            idle_next = f"h{1 - samples // slot % 2}"
            self.assertEqual(idle_next, min(hosts, key=lambda h: hosts[h].mean), samples)
            idle_now = simple.LastValue().forecast(matrix, 600.0).hosts
            self.assertNotEqual(idle_next, min(idle_now, key=lambda h: idle_now[h].mean))

    def test_weights_go_to_what_does_well(self):
        walk = families.matrix(families_of_load()["walk"])
        weights = adaptive.Adaptive().weights(walk, 3600.0)
        self.assertEqual(adaptive.MEMBERS, tuple(weights))
        self.assertAlmostEqual(1.0, sum(weights.values()))
        self.assertLess(weights["mean 1h"], 0.02)
        self.assertEqual({}, adaptive.Adaptive().weights(families.matrix(np.zeros((0, 0))), 60.0))

    def test_no_member_is_ever_ruled_out(self):
        walk = families.matrix(50 + np.random.default_rng(1).normal(0, 0.3, (200, 600)).cumsum(1))
        weights = adaptive.Adaptive().weights(walk, 3600.0)
        self.assertGreater(min(weights.values()), 1e-6)

    def test_without_evidence_the_weights_are_the_priors(self):
        weights = adaptive.Adaptive().weights(families.matrix(families.noise(3, 5)), 3600.0)
        prior = np.array(adaptive.PRIOR)
        np.testing.assert_allclose(list(weights.values()), prior / prior.sum())
