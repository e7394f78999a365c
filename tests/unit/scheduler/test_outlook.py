"""What an instance adds to a host, and what came there lately."""

from __future__ import annotations

import dataclasses
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.forecast.overload import exceedance
from nova_cachemig.model.snapshot import HostLoad, Snapshot
from nova_cachemig.scheduler.outlook import Outlook, Settling, outlook, overloads
from tests.unit.scheduler.fakes import snapshot, spec, state

LEVELS = (0.1, 0.5, 0.9, 0.99)


class Instance(unittest.TestCase):
    def added(
        self, held: Snapshot, states: list[Any], request: Any, came: list[float]
    ) -> list[float | None]:
        found = outlook(
            held,
            request,
            [state.host for state in states],
            [state.vcpus_total for state in states],
            [state.vcpus_used for state in states],
            came,
        )
        return [None if one is None else one[1] for one in found]

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


class Overload(unittest.TestCase):
    @given(
        st.lists(
            st.lists(st.integers(0, 120), min_size=len(LEVELS), max_size=len(LEVELS)).map(sorted),
            max_size=5,
        ),
        st.floats(0.0, 200.0),
        st.floats(-50.0, 50.0),
    )
    def test_it_is_what_exceedance_says(
        self, peaks: list[list[int]], threshold: float, added: float
    ) -> None:
        loads = [HostLoad(0.0, tuple(map(float, peak))) for peak in peaks]
        held = dataclasses.replace(snapshot({}), levels=LEVELS)
        found = overloads(held, [None, *((load, added) for load in loads)], threshold)
        self.assertIsNone(found[0])
        for load, chance in zip(loads, found[1:], strict=True):
            assert chance is not None
            self.assertAlmostEqual(exceedance(LEVELS, load.peak, threshold - added), chance)

    def test_a_host_without_quantiles_and_one_level_only(self) -> None:
        held = dataclasses.replace(snapshot({}), levels=(0.9,))
        entries = [(HostLoad(5.0, ()), 0.0), (HostLoad(5.0, (50.0,)), 0.0)]
        self.assertEqual([0.0, 0.0], overloads(held, entries, 90.0))


class Coming(unittest.TestCase):
    def test_it_settles(self) -> None:
        now = 0.0
        settling = Settling(lambda: now)

        def unknown(used: int) -> float:
            return settling.unknown(["a"], [used], 1800.0)[0]

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
        settling.unknown(["a"], [1], 0.0)
        self.assertEqual([0.0], settling.unknown(["a"], [9], 0.0))


class OncePerRequest(unittest.TestCase):
    """Weighers of one request share it; another request, or vCPUs that changed, do not."""

    def test_it_is_made_anew_when_anything_changed(self) -> None:
        held, look = snapshot({"a": 50.0, "b": 50.0}), Outlook(lambda: 0.0)
        states, request = [state("a", used=16), state("b", used=16)], spec()
        first = look.of(held, states, request, 1800.0)
        self.assertIs(first, look.of(held, list(states), request, 1800.0))
        self.assertIsNot(first, look.of(held, states, spec(), 1800.0))
        again = look.of(held, states, request, 1800.0)
        states[0].vcpus_used += 8  # the request's first instance was put there
        after = look.of(held, states, request, 1800.0)
        assert after[0] is not None and again[0] is not None
        self.assertGreater(after[0][1], again[0][1])
        self.assertEqual(1, len(look.of(held, states[1:], request, 1800.0)))
        newer = snapshot({"a": 5.0, "b": 5.0})
        found = look.of(newer, states, request, 1800.0)
        assert found[0] is not None
        self.assertEqual(5.0, found[0][0].mean)
