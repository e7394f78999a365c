"""The contract of every forecaster, for any load."""

import unittest

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nova_cachemig.forecast import adaptive, contract, local, pooled, simple, smoothing
from nova_cachemig.forecast.history import History
from nova_cachemig.model import load
from tests.unit.forecast import families

METHODS = (
    simple.LastValue(),
    simple.WindowMean(),
    simple.Ewma(),
    smoothing.Holt(),
    smoothing.HoltWinters(),
    local.LocalRegression(),
    pooled.PooledRegression(),
    adaptive.Adaptive(),
)
ANYTHING = hnp.arrays(
    np.float64,
    st.tuples(st.integers(0, 4), st.integers(0, 40)),
    elements=st.one_of(
        st.floats(0, 100),
        st.floats(allow_nan=True, allow_infinity=True),
        st.sampled_from([np.nan, -1.0, 0.0, 1e300]),
    ),
)


class EveryForecasterTest(unittest.TestCase):
    @settings(max_examples=30, deadline=None)
    @given(ANYTHING, st.sampled_from([60.0, 300.0, 7200.0]), st.sampled_from([600.0, 3600.0]))
    def test_never_raises_and_returns_finite_rising_quantiles_or_none(self, values, step, horizon):
        for method in METHODS:
            forecast = method.forecast(families.matrix(values, step), horizon)
            for host in forecast.hosts.values():
                self.assertTrue(np.isfinite([host.mean, *host.quantiles, *host.peak]).all())
                self.assertEqual(sorted(host.quantiles), list(host.quantiles))
                self.assertEqual(sorted(host.peak), list(host.peak))
                self.assertGreaterEqual(host.quantiles[0], 0)
            load.Forecast.from_wire(forecast.to_wire())

    def test_a_host_never_seen_or_silent_is_unknown_and_the_others_are_known(self):
        values = families.noise(4, 100)
        values[1] = np.nan
        values[2, -13:] = np.nan  # more than an hour
        values[3, -11:] = np.nan  # less
        for method in METHODS:
            with self.subTest(method.name):
                known = method.forecast(families.matrix(values)).hosts
                self.assertEqual({"h0", "h3"}, set(known))

    def test_a_constant_load_stays(self):
        for method in METHODS:
            with self.subTest(method.name):
                hosts = method.forecast(families.matrix(np.full((2, 600), 25.0))).hosts
                self.assertAlmostEqual(25.0, hosts["h0"].mean, places=6)
                self.assertAlmostEqual(25.0, hosts["h0"].quantiles[0], places=3)
                self.assertAlmostEqual(25.0, hosts["h0"].peak[-1], places=3)

    def test_one_sample_is_the_forecast(self):
        for method in METHODS:
            hosts = method.forecast(families.matrix([[7.0]])).hosts
            self.assertAlmostEqual(7.0, hosts["h0"].mean, msg=method.name)

    def test_hosts_may_stand_in_any_order(self):
        values = families.persistent(6, 300)
        order = np.random.default_rng(1).permutation(6)
        for method in METHODS:
            straight = method.forecast(families.matrix(values)).hosts
            shuffled = method.forecast(families.matrix(values[order])).hosts
            for place, host in enumerate(order):
                np.testing.assert_allclose(
                    shuffled[f"h{place}"].quantiles,
                    straight[f"h{host}"].quantiles,
                    rtol=1e-6,
                    err_msg=method.name,
                )

    def test_the_unit_does_not_matter(self):
        values = families.persistent(6, 300)
        for method in METHODS:
            small = method.forecast(families.matrix(values)).hosts["h2"]
            large = method.forecast(families.matrix(values * 1e6)).hosts["h2"]
            np.testing.assert_allclose(large.mean / 1e6, small.mean, rtol=1e-4)

    def test_points_know_only_the_past(self):
        values = families.alternating(6, 240)
        other = values.copy()
        other[:, 121:] = families.noise(3, 119, seed=5)
        origins = np.arange(0, 240, 4)
        past = origins <= 120
        for method in METHODS:
            with self.subTest(method.name):
                points = [method.points(History.of(v, 300.0), origins, 12) for v in (values, other)]
                np.testing.assert_allclose(points[0][:, past], points[1][:, past], rtol=1e-5)
                self.assertFalse(np.allclose(points[0], points[1]))


class TrainingOriginsTest(unittest.TestCase):
    def test_they_end_now_and_are_thinned_for_many_hosts(self):
        for hosts, most in ((3, contract.MAX_ORIGINS), (5000, contract.MIN_ORIGINS)):
            history = History.of(np.zeros((hosts, 2000)), 60.0)
            origins = contract.training_origins(history)
            self.assertEqual(1999, origins[-1])
            self.assertTrue((np.diff(origins) > 0).all())
            self.assertLessEqual(len(origins), most)
