import unittest
import unittest.mock

import numpy as np

from nova_cachemig.forecast import adaptive, contract, intervals, simple
from tests.unit.forecast import families


class CalibrateTest(unittest.TestCase):
    def coverage(self, values, method, steps=12):
        low, high = (contract.LEVELS.index(level) for level in (0.1, 0.9))
        inside = []
        for end in range(120, values.shape[1] - steps, 40):
            forecast = method.forecast(families.matrix(values[:, :end]), steps * 300.0)
            for i, host in enumerate(forecast.hosts.values()):
                actual = values[i, end : end + steps].mean()
                inside.append(host.quantiles[low] <= actual <= host.quantiles[high])
        return np.mean(inside)

    def test_the_80_percent_interval_covers_80_percent(self):
        for values in (families.noise(40, 600), families.persistent(40, 600)):
            for method in (simple.WindowMean(), adaptive.Adaptive()):
                with self.subTest(method.name):
                    self.assertAlmostEqual(0.8, self.coverage(values, method), delta=0.05)

    def test_a_restless_host_has_wider_quantiles(self):
        values = families.noise(2, 500)
        values[0] = 50 + 15 * np.random.default_rng(2).normal(size=500)
        hosts = simple.WindowMean().forecast(families.matrix(values)).hosts
        width = {h: f.quantiles[-2] - f.quantiles[0] for h, f in hosts.items()}
        self.assertGreater(width["h0"], 2 * width["h1"])

    def test_the_peak_is_above_the_mean(self):
        hosts = simple.WindowMean().forecast(families.matrix(families.noise(5, 300))).hosts
        for host in hosts.values():
            self.assertGreater(host.peak[3], host.quantiles[3])


class HostScaleTest(unittest.TestCase):
    def test_little_history_is_shrunk_to_the_pool(self):
        errors = np.ones((2, 100))
        errors[1] = np.nan
        errors[1, 0] = 10.0
        scale = intervals.host_scale(errors, 1.0)
        pool = np.sqrt(200 / 101)
        self.assertAlmostEqual(np.sqrt((100 + 2 * pool**2) / 102), scale[0, 0])
        self.assertAlmostEqual(np.sqrt((100 + 2 * pool**2) / 3), scale[1, 0])

    def test_left_out_is_without_the_error_itself(self):
        errors = np.array([[3.0, 4.0, np.nan]])
        scale = intervals.host_scale(errors, 1.0, left_out=True)
        self.assertAlmostEqual(np.sqrt((16 + 2 * 12.5) / 3), scale[0, 0])
        self.assertAlmostEqual(np.sqrt((9 + 2 * 12.5) / 3), scale[0, 1])


class FreedomTest(unittest.TestCase):
    """How much evidence there is for the scale of the errors, as the errors themselves show it."""

    def errors(self, hosts, origins, *, together):
        rng = np.random.default_rng(5)
        own = rng.normal(size=(hosts, origins))
        return np.broadcast_to(own[:1], own.shape) if together else own

    def test_of_normal_errors_it_is_their_number(self):
        found = intervals.freedom(self.errors(20, 400, together=False), 1.0)
        self.assertAlmostEqual(1.0, found / (20 * 400), delta=0.2)

    def test_hosts_that_err_together_count_once(self):
        found = intervals.freedom(self.errors(20, 400, together=True), 1.0)
        self.assertAlmostEqual(1.0, found / 400, delta=0.2)

    def test_origins_that_share_a_target_count_once(self):
        errors = self.errors(20, 400, together=False)
        once, shared = (intervals.freedom(errors, overlap) for overlap in (1.0, 12.0))
        self.assertAlmostEqual(12.0, once / shared)

    def test_never_less_than_two(self):
        gap = np.full((3, 4), np.nan)
        self.assertEqual(2.0, intervals.freedom(gap, 1.0))
        gap[:, 0] = 1.0
        self.assertEqual(2.0, intervals.freedom(gap, 1.0))
        self.assertEqual(2.0, intervals.freedom(np.array([[0.1, 0.1, 0.1, 99.0]]), 12.0))
        self.assertEqual(2.0, intervals.freedom(np.zeros((3, 4)), 1.0))


class FewErrorsTest(unittest.TestCase):
    """Cover of the 80 % interval where the errors seen are few and hosts err together."""

    STEPS = 4

    def test_it_is_wider_but_the_mean_is_the_same(self):
        rng = np.random.default_rng(11)
        inside, plain = [], []
        for _ in range(120):
            common = 50 + 8 * rng.normal(size=44)
            values = np.clip(common + 0.5 * rng.normal(size=(6, 44)), 0, None)
            past, after = values[:, :40], values[:, 40:].mean(axis=1)
            method = simple.WindowMean(4 * 300.0)
            forecast = self.bands(method, past)
            with unittest.mock.patch.object(intervals, "freedom", lambda *_: np.inf):
                without = self.bands(method, past)
            for kept, found in ((inside, forecast), (plain, without)):
                hosts = list(found.hosts.values())
                kept += [
                    h.quantiles[1] <= a <= h.quantiles[5] for h, a in zip(hosts, after, strict=True)
                ]
            self.assertEqual(
                [h.mean for h in without.hosts.values()], [h.mean for h in forecast.hosts.values()]
            )
        self.assertLess(np.mean(plain), 0.765)
        self.assertAlmostEqual(0.8, np.mean(inside), delta=0.04)

    def bands(self, method, past):
        return method.forecast(families.matrix(past), self.STEPS * 300.0)
