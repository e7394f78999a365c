"""What an instance adds to a host, and what came there lately."""

from __future__ import annotations

import unittest

from nova_cachemig.scheduler.outlook import Settling, outlook
from tests.unit.scheduler.fakes import snapshot, spec, state


class Instance(unittest.TestCase):
    def added(self, *args: object, **kwargs: object) -> list[float | None]:
        return [None if one is None else one[1] for one in outlook(*args, **kwargs)]  # type: ignore[arg-type]

    def test_what_was_measured_is_shared_by_the_hosts_cpus(self) -> None:
        held = snapshot({"a": 10.0, "b": 20.0}, instances={"i1": 160.0})
        states = [state("a", cpus=16), state("b", cpus=4)]
        self.assertEqual([10.0, 40.0], self.added(held, states, spec(), [0.0, 0.0]))

    def test_without_samples_a_vcpu_uses_what_vcpus_use(self) -> None:
        held = snapshot({"a": 50.0, "b": 10.0})
        # (0.5 + 0.1) * 16 CPUs busy for 24 + 8 vCPUs: 30 % of a CPU each
        states = [state("a", used=24), state("b", used=8), state("c")]
        found = self.added(held, states, spec(vcpus=4), [0.0, 0.0, 0.0])
        self.assertEqual([7.5, 7.5, None], found)

    def test_no_vcpu_uses_more_than_a_cpu_and_none_are_no_fault(self) -> None:
        held = snapshot({"a": 100.0})
        self.assertEqual([25.0], self.added(held, [state("a", used=1)], spec(vcpus=4), [0.0]))
        self.assertEqual([0.0], self.added(held, [state("a", used=0)], spec(vcpus=4), [0.0]))
        self.assertEqual([0.0], self.added(held, [state("a", cpus=0, used=1)], None, [4.0]))

    def test_what_came_counts_and_what_went_too(self) -> None:
        held = snapshot({"a": 50.0, "b": 50.0}, instances={"i1": 0.0})
        states = [state("a", used=16), state("b", used=16)]
        self.assertEqual([12.5, -12.5], self.added(held, states, spec(), [4.0, -4.0]))

    def test_of_another_metric_nothing_is_known(self) -> None:
        held = snapshot({"a": 5e8}, instances={"i1": 160.0}, metric="net.receive")
        self.assertEqual([0.0], self.added(held, [state("a", used=8)], spec(), [3.0]))


class Coming(unittest.TestCase):
    def test_it_settles(self) -> None:
        now = 0.0
        settling = Settling(lambda: now)

        def unknown(used: int) -> float:
            return settling.unknown([state("a", used=used)], 1800.0)[0]

        self.assertEqual(0.0, unknown(10))
        now = 60.0
        self.assertEqual(4.0, unknown(14))
        self.assertEqual(4.0, unknown(14))
        now += 1800.0
        self.assertAlmostEqual(4.0 / 2.718281828, unknown(14), places=6)
        now += 18000.0
        self.assertAlmostEqual(-4.0, unknown(10), places=3)

    def test_switched_off(self) -> None:
        settling = Settling(lambda: 0.0)
        settling.unknown([state("a", used=1)], 0.0)
        self.assertEqual([0.0], settling.unknown([state("a", used=9)], 0.0))
