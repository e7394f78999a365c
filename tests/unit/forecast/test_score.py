"""Earlier forecasts against the loads that came."""

from __future__ import annotations

import math
import unittest

from nova_cachemig.forecast.score import KEPT, Judge, score
from nova_cachemig.model.load import Forecast, HostForecast, LoadMatrix

STEP = 300.0


def forecast(made_at: float, **means: float) -> Forecast:
    hosts = {name: HostForecast(m, (m - 5, m, m + 5), (m, m, m)) for name, m in means.items()}
    return Forecast(made_at, 4 * STEP, "test", (0.05, 0.5, 0.95), hosts)


def matrix(**rows: list[float | None]) -> LoadMatrix:
    return LoadMatrix.of(rows, start=0.0, step=STEP)


class ScoreTest(unittest.TestCase):
    def test_the_errors_and_the_coverage(self) -> None:
        loads = matrix(a=[10, 20, 30, 30, 30, 30, 99], b=[0, 50, 40, 60, 40, 60, 0])
        found = score(forecast(STEP, a=28, b=40, gone=7), loads)
        assert found is not None
        self.assertEqual((STEP, 2, 0.5), (found.made_at, found.hosts, found.covered))
        self.assertEqual((6.0, 5.0), (found.error, found.last_value_error))

    def test_a_host_with_too_few_samples_is_left_out(self) -> None:
        loads = matrix(a=[10, 10, 20, 20, 20, 20], b=[10, 10, None, None, None, 90])
        found = score(forecast(STEP, a=20, b=20), loads)
        assert found is not None
        self.assertEqual((1, 0.0), (found.hosts, found.error))
        self.assertIsNone(score(forecast(STEP, b=20), loads))
        self.assertIsNone(score(forecast(STEP, other=20), loads))
        self.assertIsNone(score(forecast(99 * STEP, a=20), loads))


class JudgeTest(unittest.TestCase):
    def test_only_a_forecast_whose_horizon_is_over(self) -> None:
        judge = Judge()
        judge.keep(forecast(STEP, a=20))
        judge.judge(matrix(a=[10, 10, 20, 20, 20]))
        self.assertIsNone(judge.latest)
        judge.judge(matrix(a=[10, 10, 20, 20, 20, 20]))
        assert judge.latest is not None
        self.assertEqual((0.0, 10.0), (judge.latest.error, judge.latest.last_value_error))
        before = judge.latest
        judge.judge(matrix(a=[10] * 9))  # each one is judged once
        self.assertIs(before, judge.latest)

    def test_few_are_kept(self) -> None:
        judge = Judge()
        judge.keep(Forecast.empty())
        for second in range(0, 3600, 10):
            judge.keep(forecast(float(second), a=20))
        self.assertEqual(KEPT + 1, len(judge._kept))
        judge.judge(matrix(a=[10.0] * 20))
        assert judge.latest is not None
        self.assertTrue(math.isfinite(judge.latest.error))
