import unittest

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
