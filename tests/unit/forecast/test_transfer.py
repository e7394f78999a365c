import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.forecast import transfer
from nova_cachemig.model.load import HostForecast

RISING = st.lists(st.floats(0, 1e6), min_size=3, max_size=3).map(lambda x: tuple(sorted(x)))
FORECASTS = st.builds(
    lambda q, more: HostForecast(q[1], q, tuple(a + b for a, b in zip(q, more, strict=True))),
    RISING,
    RISING,
)
HOST = HostForecast(50.0, (44.0, 50.0, 58.0), (50.0, 60.0, 70.0))
INSTANCE = HostForecast(10.0, (7.0, 10.0, 16.0), (10.0, 12.0, 16.0))


class TransferTest(unittest.TestCase):
    def test_means_add_and_spreads_add_as_those_of_independent_loads(self):
        self.assertEqual(60.0, transfer.arrive(HOST, INSTANCE).mean)
        for got, expected in zip(
            transfer.arrive(HOST, INSTANCE).quantiles, (60 - 45**0.5, 60, 70), strict=True
        ):
            self.assertAlmostEqual(expected, got)

    def test_loads_that_go_together_add_their_quantiles(self):
        got = transfer.arrive(HOST, INSTANCE, correlation=1.0).quantiles
        self.assertEqual((51.0, 60.0, 74.0), got)

    def test_share(self):
        self.assertEqual(52.5, transfer.arrive(HOST, INSTANCE, share=0.25).mean)

    def test_what_comes_and_goes_leaves_the_host_as_it_was(self):
        for correlation in (0.0, 0.5, 1.0):
            there = transfer.arrive(HOST, INSTANCE, 0.5, correlation)
            back = transfer.leave(there, INSTANCE, 0.5, correlation)
            self.assertAlmostEqual(HOST.mean, back.mean)
            for got, expected in zip(back.quantiles, HOST.quantiles, strict=True):
                self.assertAlmostEqual(expected, got)

    @given(FORECASTS, FORECASTS, st.floats(0, 4), st.floats(0, 1))
    def test_quantiles_rise_and_no_load_is_negative(self, host, instance, share, correlation):
        for move in (transfer.arrive, transfer.leave):
            got = move(host, instance, share, correlation)
            for row in (got.quantiles, got.peak):
                self.assertEqual(sorted(row), list(row))
                self.assertGreaterEqual(row[0], 0)
            self.assertGreaterEqual(got.mean, 0)
