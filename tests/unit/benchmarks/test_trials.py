import unittest

import numpy as np

from benchmarks.placementlib import readers, trials
from nova_cachemig.forecast import simple
from tests.unit.forecast import families

METHODS = (simple.LastValue(), simple.WindowMean())


def panel(values):
    return readers.Panel("p", tuple(f"m{i}" for i in range(len(values))), np.asarray(values))


class TrialsTest(unittest.TestCase):
    def test_the_same_seed_the_same_trials(self):
        panels, plan = [panel(families.noise(60, 288))], trials.Plan(hosts=5)
        first, again, other = (trials.run(panels, plan, METHODS, s) for s in (1, 1, 2))
        np.testing.assert_array_equal(first[0].actual, again[0].actual)
        self.assertFalse(np.array_equal(first[0].actual, other[0].actual))

    def test_each_outcome_knows_its_day(self):
        plan = trials.Plan(hosts=3, instants=4)
        days = {
            o.day
            for s in range(8)
            for o in trials.run([panel(families.noise(40, 570))], plan, METHODS, s)
        }
        self.assertEqual({"p:0", "p:1"}, days)

    def test_forecasts_end_where_the_outcome_begins(self):
        loads = np.arange(100.0)[None].repeat(2, axis=0)
        outcome = trials.outcome(loads, 50, trials.Plan(), METHODS)
        self.assertEqual([49.0, 49.0], outcome.forecasts["last value"][0].tolist())
        self.assertEqual([55.5, 55.5], outcome.actual.tolist())

    def test_a_choice_is_judged_as_long_as_the_instance_stays(self):
        loads = np.arange(100.0)[None].repeat(2, axis=0)
        plan = trials.Plan(horizon=600.0, stay=7200.0)
        self.assertEqual(61.5, trials.outcome(loads, 50, plan, METHODS).actual[0])
        drawn = trials.cloud([panel(families.noise(20, 60))], plan, np.random.default_rng(0))
        self.assertLessEqual(max(drawn.instants), 60 - 24)

    def test_machines_are_on_one_host_each_while_there_are_enough(self):
        rng, plan = np.random.default_rng(0), trials.Plan(hosts=4, vms=3)
        groups = trials.group(np.arange(20), plan, rng)
        self.assertEqual(12, len(set(np.concatenate(groups).tolist())))
        shared = trials.group(np.arange(5), plan, rng)
        self.assertEqual([2] * 4, [len(set(g.tolist())) for g in shared])

    def test_machines_that_were_not_measured_are_left_out(self):
        values = families.noise(30, 288)
        values[:20] = np.nan
        drawn = trials.cloud([panel(values)], trials.Plan(hosts=4, vms=2), np.random.default_rng(0))
        self.assertTrue(np.isfinite(drawn.loads).all())

    def test_short_gaps_are_bridged_and_long_ones_stay(self):
        row = [1, np.nan, np.nan, 2, np.nan, np.nan, np.nan, np.nan, 3]
        expected = [1, 1, 1, 2, 2, 2, 2, np.nan, 3]
        np.testing.assert_array_equal([expected], trials.bridge(np.array([row])))

    def test_splits(self):
        whole = panel(families.noise(100, 200))
        half = trials.machine_split(whole)
        self.assertTrue(30 < len(half.machines) < 70)
        again = trials.machine_split(panel(whole.values[:50]))
        self.assertEqual(set(again.machines), set(half.machines) & set(whole.machines[:50]))
        self.assertEqual(24, trials.first_instant(whole, trials.Plan()))
        self.assertEqual(100, trials.first_instant(whole, trials.Plan(split="time")))

    def test_too_short_a_trace_is_an_error(self):
        short = [panel(families.noise(5, 30))]
        self.assertRaises(readers.TraceError, trials.usable, short, trials.Plan())
