"""The simulation: some seeds hold, a seed is reproducible, and planted faults are noticed."""

import unittest

from tests.simulating.planted import PLANTED
from tests.simulating.run import simulate

QUICK = ("adjacent writes swapped", "responses crossed", "quarantined, not listed",
         "reads released too early", "direct writes overtake")  # fmt: skip


class SimulationTest(unittest.TestCase):
    def test_the_machine_holds(self):
        faults = {
            seed: result.faults for seed in range(1, 101) if (result := simulate(seed)).faults
        }
        self.assertEqual({}, faults)

    def test_a_seed_is_reproducible(self):
        self.assertEqual(simulate(7, trace=True).lines, simulate(7, trace=True).lines)

    def test_planted_faults_are_noticed(self):
        for name in QUICK:
            with self.subTest(name), PLANTED[name]():
                self.assertTrue(any(simulate(seed).faults for seed in range(1, 30)))
