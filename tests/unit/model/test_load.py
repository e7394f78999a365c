"""Loads on the wire: a round trip changes nothing, and malformed data is refused."""

import json
import math
import subprocess
import sys
import unittest

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from nova_cachemig.model import load

FINITE = st.floats(min_value=0, max_value=1e12)
NAMES = st.text(min_size=1, max_size=8)
HOSTS = st.builds(load.HostForecast, FINITE, st.tuples(FINITE, FINITE), st.tuples(FINITE, FINITE))
FORECASTS = st.builds(
    load.Forecast, FINITE, FINITE, NAMES, st.just((0.1, 0.9)), st.dictionaries(NAMES, HOSTS)
)


def by_wire(wire):
    """Return the data after a JSON round trip without NaN."""
    return json.loads(json.dumps(wire, allow_nan=False))


class ClampedTest(unittest.TestCase):
    @given(st.floats(-load.ROUNDING, load.ROUNDING))
    def test_rounding_below_zero_is_zero(self, value):
        self.assertEqual(max(value, 0.0), load.clamped(value))

    @given(st.floats(allow_nan=False))
    def test_other_numbers_are_left_alone(self, value):
        assume(not -load.ROUNDING <= value < 0)
        self.assertEqual(value, load.clamped(value))


class SampleTest(unittest.TestCase):
    def test_round_trip(self):
        sample = load.Sample("h", "cpu", 12.5, 33.0, instance="i")
        self.assertEqual(sample, load.Sample.from_wire(by_wire(sample.to_wire())))

    def test_a_missing_value_stays_missing(self):
        back = load.Sample.from_wire(by_wire(load.Sample.empty().to_wire()))
        self.assertTrue(math.isnan(back.value))

    def test_malformed(self):
        wire = load.Sample("h", "cpu", 1.0, 1.0).to_wire()
        for broken in ({**wire, "version": 2}, {**wire, "at": "x"}, {"version": 1}, None):
            self.assertRaises(load.WireError, load.Sample.from_wire, broken)


class LoadMatrixTest(unittest.TestCase):
    def test_round_trip_keeps_gaps(self):
        matrix = load.LoadMatrix.of({"a": [1.0, None], "b": [2.0, 3.0]}, start=10, step=60)
        back = load.LoadMatrix.from_wire(by_wire(matrix.to_wire()))
        self.assertEqual(("a", "b"), back.hosts)
        np.testing.assert_array_equal([[1.0, np.nan], [2.0, 3.0]], back.values)
        self.assertEqual((10.0, 60.0, 70.0), (back.start, back.step, back.end))

    def test_empty_round_trip(self):
        back = load.LoadMatrix.from_wire(by_wire(load.LoadMatrix.empty().to_wire()))
        self.assertEqual((0, 0), back.values.shape)

    def test_shape_and_step_are_checked(self):
        self.assertRaises(ValueError, load.LoadMatrix, ("a",), 0.0, 60.0, np.zeros((2, 3)))
        self.assertRaises(ValueError, load.LoadMatrix, ("a",), 0.0, 0.0, np.zeros((1, 3)))

    def test_malformed(self):
        wire = load.LoadMatrix.of({"a": [1.0], "b": [2.0]}, start=0, step=60).to_wire()
        for key, value in (
            ("version", 0),
            ("values", [[1.0]]),
            ("values", [[1.0], [1.0, 2.0]]),
            ("step", -1),
            ("start", None),
            ("hosts", 3),
        ):
            with self.subTest(key=key, value=value):
                self.assertRaises(load.WireError, load.LoadMatrix.from_wire, {**wire, key: value})


class ForecastTest(unittest.TestCase):
    @given(FORECASTS)
    def test_round_trip(self, forecast):
        self.assertEqual(forecast, load.Forecast.from_wire(by_wire(forecast.to_wire())))

    def test_the_empty_forecast_has_no_host(self):
        self.assertEqual({}, load.Forecast.from_wire(load.Forecast.empty().to_wire()).hosts)

    def test_malformed(self):
        host = load.HostForecast(1.0, (1.0,), (2.0,))
        wire = load.Forecast(0.0, 60.0, "m", (0.5,), {"h": host}).to_wire()
        for key, value in (
            ("version", 2),
            ("levels", [0.1, 0.2]),
            ("hosts", []),
            ("hosts", {"h": [math.nan, [1.0], [1.0]]}),
            ("hosts", {"h": [1.0]}),
            ("made_at", math.inf),
            ("levels", None),
        ):
            with self.subTest(key=key, value=value):
                self.assertRaises(load.WireError, load.Forecast.from_wire, {**wire, key: value})

    def test_the_module_does_not_import_numpy(self):
        code = "import sys, nova_cachemig.model.load; sys.exit('numpy' in sys.modules)"
        self.assertEqual(0, subprocess.run([sys.executable, "-c", code], check=False).returncode)
