import unittest

import numpy as np
from hypothesis import example, given
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


class QuantilesTest(unittest.TestCase):
    """The probabilities of many hosts together equal those of each host alone."""

    @given(
        st.lists(
            st.lists(st.integers(0, 120) | st.floats(0, 1e9), min_size=3, max_size=3).map(sorted),
            max_size=6,
        ),
        st.data(),
    )
    def test_as_one_by_one(self, rows, data):
        quantiles = overload.Quantiles.of(LEVELS, rows)
        wanted = data.draw(st.lists(st.integers(0, len(rows)), max_size=10))
        at = st.floats(-50, 200) | st.floats(0, 2e9) | st.sampled_from([x for r in rows for x in r])
        thresholds = [data.draw(at if rows else st.floats(0, 9)) for _ in wanted]
        found = quantiles.exceedance(np.array(wanted, dtype=np.int64), np.array(thresholds))
        for row, threshold, chance in zip(wanted, thresholds, found, strict=True):
            if row == len(rows):
                self.assertTrue(np.isnan(chance))
            else:
                plain = overload.exceedance(LEVELS, rows[row], threshold)
                self.assertAlmostEqual(plain, chance, places=9)

    @given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 1e300))
    @example(0.0, 5e-324, 5e-324)
    def test_a_slope_that_is_no_number(self, low, high, threshold):
        row = sorted((low, low, high))
        found = overload.Quantiles.of(LEVELS, [row]).exceedance(
            np.array([0]), np.array([threshold])
        )
        self.assertTrue(0 <= found[0] <= 1, found)
        self.assertAlmostEqual(overload.exceedance(LEVELS, row, threshold), found[0], places=9)

    def test_one_level_and_none(self):
        one = overload.Quantiles.of((0.9,), [(50.0,)])
        self.assertEqual([0.0, 1.0 - 0.9 / 2], self.chances(one, [60.0, 25.0]))
        self.assertEqual([0.0, 0.0], self.chances(overload.Quantiles.of((), [()]), [60.0, -25.0]))
        nobody = overload.Quantiles.of(LEVELS, [])
        self.assertTrue(np.isnan(self.chances(nobody, [60.0])).all())

    def chances(self, quantiles, thresholds):
        rows = np.zeros(len(thresholds), dtype=np.int64)
        return quantiles.exceedance(rows, np.array(thresholds)).tolist()


class ProbabilityTest(unittest.TestCase):
    def test_of_the_peak_or_of_the_mean_and_none_for_the_unknown(self):
        host = load.HostForecast(20.0, (10.0, 20.0, 40.0), (20.0, 40.0, 80.0))
        forecast = load.Forecast(0.0, 60.0, "m", LEVELS, {"h": host})
        self.assertAlmostEqual(0.5, overload.probability(forecast, "h", 40.0))
        self.assertAlmostEqual(0.1, overload.probability(forecast, "h", 40.0, peak=False))
        self.assertIsNone(overload.probability(forecast, "other", 40.0))
        self.assertIsNone(overload.probability(load.Forecast.empty(), "h", 40.0))
