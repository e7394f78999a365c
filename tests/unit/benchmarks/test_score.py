import unittest

import numpy as np

from benchmarks.placementlib import report, score
from benchmarks.placementlib.trials import Outcome


def forecast(*means):
    return np.stack([np.array(means, dtype=float) + d for d in (0, -1, 1)])


class ScoreTest(unittest.TestCase):
    def test_regret_is_how_much_busier_the_chosen_host_became(self):
        outcome = Outcome(np.array([3.0, 1.0, np.nan]), {"m": forecast(1, 2, 0)})
        self.assertEqual(2.0, score.regret(outcome, "m"))

    def test_no_forecast_at_all_is_the_worst_choice(self):
        unknown = Outcome(np.array([3.0, 1.0, 9.0]), {"m": np.full((3, 3), np.nan)})
        self.assertEqual(8.0, score.regret(unknown, "m"))

    def test_scores(self):
        good, bad = forecast(1, 5), forecast(6, 5)
        seeds = [
            [Outcome(np.array([1.0, 5.0 + s]), {"default": good, "mean 1h": bad})] for s in range(4)
        ]
        scores = score.score(seeds)
        self.assertEqual(0.0, scores["default"]["regret_mean"])
        self.assertEqual(1.0, scores["default"]["top1"])
        self.assertAlmostEqual(0.75, scores["default"]["mae"])
        self.assertAlmostEqual(6 / 8, scores["default"]["coverage_80"])
        self.assertAlmostEqual(5.5, scores["mean 1h"]["regret_mean"])
        best = scores["default"]["vs_best"]
        self.assertEqual(("mean 1h", -5.5), (best["method"], best["diff_mean"]))
        half = 3.182446 * np.std([4, 5, 6, 7], ddof=1) / 2
        self.assertAlmostEqual(-5.5 + half, best["diff_ci95"][1], delta=0.1)

    def test_seeds_are_the_clusters(self):
        def seed(values):
            return [Outcome(np.array([v, 0.0]), {"m": forecast(0, 1)}) for v in values]

        means = score.by_seed([seed([1, 3]), seed([5])], "m")
        self.assertEqual([2.0, 5.0], means.tolist())

    def test_what_depends_on_the_day_makes_the_interval_over_days_wider(self):
        rng = np.random.default_rng(0)
        days = np.repeat(np.arange(40), 25)
        weather = rng.normal(0, 1, 40)[days]
        names = [str(day) for day in days]
        low, high = score.interval_by_day(weather, names)
        means = weather.reshape(40, 25).mean(axis=1)
        np.testing.assert_allclose([low, high], score.interval(means))
        alone = rng.normal(0, 1, 1000)
        low, high = score.interval_by_day(alone, names)
        once = score.interval(alone)
        self.assertLess(abs((high - low) / (once[1] - once[0]) - 1), 0.3)
        self.assertEqual([-np.inf, np.inf], score.interval_by_day(alone, ["one"] * 1000))

    def test_student(self):
        for freedom, quantile in ((10, 2.2281), (30, 2.0423), (1000, 1.9623)):
            self.assertAlmostEqual(quantile, score.student(freedom), places=3)

    def test_verdict(self):
        self.assertEqual("better", report.verdict(-2, -1))
        self.assertEqual("worse", report.verdict(1, 2))
        self.assertEqual("no difference shown", report.verdict(-1, 1))
