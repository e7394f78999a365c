import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.forecast import overload
from nova_cachemig.model import load

LEVELS = (0.1, 0.5, 0.9)


class ExceedanceTest(unittest.TestCase):
    def test_at_the_quantiles_it_is_their_levels(self):
        for level, quantile in zip(LEVELS, (10, 20, 40), strict=True):
            self.assertAlmostEqual(1 - level, overload.exceedance(LEVELS, (10, 20, 40), quantile))

    def test_between_below_and_above(self):
        self.assertAlmostEqual(0.3, overload.exceedance(LEVELS, (10, 20, 40), 30))
        self.assertAlmostEqual(0.95, overload.exceedance(LEVELS, (10, 20, 40), 5))
        self.assertAlmostEqual(0.1 / 5, overload.exceedance(LEVELS, (10, 20, 40), 60))
        self.assertEqual(1.0, overload.exceedance(LEVELS, (10, 20, 40), -1))

    def test_a_load_that_never_changes(self):
        self.assertEqual(1.0, overload.exceedance(LEVELS, (5, 5, 5), 4.99) // 0.9)
        self.assertEqual(0.0, overload.exceedance(LEVELS, (5, 5, 5), 5))

    @given(
        st.lists(st.floats(0, 1e9), min_size=3, max_size=3).map(sorted),
        st.lists(st.floats(-1, 2e9), min_size=2, max_size=2).map(sorted),
    )
    def test_a_probability_that_falls_with_the_threshold(self, quantiles, thresholds):
        low, high = (overload.exceedance(LEVELS, quantiles, t) for t in thresholds)
        self.assertTrue(0 <= high <= low + 1e-12 <= 1 + 1e-12)


class ProbabilityTest(unittest.TestCase):
    def test_of_the_peak_or_of_the_mean_and_none_for_the_unknown(self):
        host = load.HostForecast(20.0, (10.0, 20.0, 40.0), (20.0, 40.0, 80.0))
        forecast = load.Forecast(0.0, 60.0, "m", LEVELS, {"h": host})
        self.assertAlmostEqual(0.5, overload.probability(forecast, "h", 40.0))
        self.assertAlmostEqual(0.1, overload.probability(forecast, "h", 40.0, peak=False))
        self.assertIsNone(overload.probability(forecast, "other", 40.0))
        self.assertIsNone(overload.probability(load.Forecast.empty(), "h", 40.0))
