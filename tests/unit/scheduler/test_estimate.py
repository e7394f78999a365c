"""The load that an instance adds to a host; one estimate serves a whole request."""

from __future__ import annotations

import gc
import math
import unittest
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.forecast.overload import exceedance
from nova_cachemig.model.snapshot import Snapshot
from nova_cachemig.scheduler.columns import Columns
from nova_cachemig.scheduler.estimate import (
    MAX_REQUESTS,
    Candidates,
    Estimator,
    HostEstimates,
    estimate,
)
from tests.unit.scheduler.fakes import LEVELS, snapshot, spec, state


def estimates(
    held: Snapshot, states: Sequence[Any], request: Any, pending: Sequence[float]
) -> HostEstimates:
    names, vcpus = [state.host for state in states], [state.vcpus_total for state in states]
    return estimate(
        Candidates.of(Columns.of(held), names, vcpus),
        request,
        np.array([state.vcpus_used for state in states], dtype=np.float64),
        np.array(pending, dtype=np.float64),
    )


class Instance(unittest.TestCase):
    def added(
        self, held: Snapshot, states: list[Any], request: Any, pending: list[float]
    ) -> list[float]:
        found = estimates(held, states, request, pending)
        for host, known, added in zip(states, found.load, found.added, strict=True):
            if host.host in held.hosts:
                self.assertAlmostEqual(held.hosts[host.host].mean + added, known)
            else:
                self.assertTrue(math.isnan(known))
        return [float(added) for added in found.added]

    def test_what_was_measured_is_shared_by_the_hosts_cpus(self) -> None:
        held = snapshot({"a": 10.0, "b": 20.0}, instances={"i1": 160.0})
        states = [state("a", cpus=16), state("b", cpus=4)]
        self.assertEqual([10.0, 40.0], self.added(held, states, spec(), [0.0, 0.0]))

    def test_without_samples_a_vcpu_uses_what_vcpus_use(self) -> None:
        held = snapshot({"a": 50.0, "b": 10.0})
        # (0.5 + 0.1) * 16 CPUs busy for 24 + 8 vCPUs: 30 % of a CPU each
        states = [state("a", used=24), state("b", used=8), state("c")]
        found = self.added(held, states, spec(vcpus=4), [0.0, 0.0, 0.0])
        self.assertEqual([7.5, 7.5], found[:2])

    def test_no_vcpu_uses_more_than_a_cpu_and_none_are_no_fault(self) -> None:
        held = snapshot({"a": 100.0})
        self.assertEqual([25.0], self.added(held, [state("a", used=1)], spec(vcpus=4), [0.0]))
        self.assertEqual([0.0], self.added(held, [state("a", used=0)], spec(vcpus=4), [0.0]))
        self.assertEqual([0.0], self.added(held, [state("a", cpus=0, used=1)], None, [4.0]))

    def test_what_pending_counts_and_what_went_too(self) -> None:
        held = snapshot({"a": 50.0, "b": 50.0}, instances={"i1": 0.0})
        states = [state("a", used=16), state("b", used=16)]
        self.assertEqual([12.5, -12.5], self.added(held, states, spec(), [4.0, -4.0]))

    def test_of_another_metric_nothing_is_known(self) -> None:
        held = snapshot({"a": 5e8}, instances={"i1": 160.0}, metric="net.receive")
        self.assertEqual([0.0], self.added(held, [state("a", used=8)], spec(), [3.0]))


class AsThePlainFormula(unittest.TestCase):
    """Whole columns give the same as a computation host by host."""

    @given(
        st.lists(
            st.tuples(
                st.lists(st.integers(0, 130), min_size=4, max_size=4).map(sorted),
                st.integers(0, 64),  # CPUs
                st.integers(0, 200),  # vCPUs used
                st.integers(-16, 16),  # vCPUs that pending
                st.booleans(),  # known?
            ),
            min_size=1,
            max_size=8,
        ),
        st.none() | st.floats(0.0, 6400.0),
        st.floats(0.0, 200.0),
    )
    def test_of_many_hosts(
        self,
        hosts: list[tuple[list[int], int, int, int, bool]],
        measured: float | None,
        threshold: float,
    ) -> None:
        states = [state(f"h{i}", cpus=h[1], used=h[2]) for i, h in enumerate(hosts)]
        means = {f"h{i}": float(h[0][0]) for i, h in enumerate(hosts) if h[4]}
        peaks: dict[str, Sequence[float]] = {
            f"h{i}": [float(x) for x in h[0][1:]] for i, h in enumerate(hosts)
        }
        instances = {} if measured is None else {"i1": measured}
        found = estimates(
            snapshot(means, peaks, instances), states, spec("i1", 4), [h[3] for h in hosts]
        )
        busy = sum(means[s.host] * s.vcpus_total for s in states if s.host in means if s.vcpus_used)
        used = sum(s.vcpus_used for s in states if s.host in means)
        vcpu = min(busy / used, 100.0) if used else 0.0
        instance = 4 * vcpu if measured is None else measured
        for i, host in enumerate(hosts):
            if not host[4]:
                self.assertTrue(math.isnan(found.load[i]))
                self.assertTrue(math.isnan(found.overload(threshold)[i]))
                continue
            added = (instance + host[3] * vcpu) / (host[1] or 1)
            self.assertAlmostEqual(means[f"h{i}"] + added, found.load[i])
            chance = exceedance(LEVELS, peaks[f"h{i}"], threshold - added)
            # as near as rounding lets it be: where all quantiles are one it is a step
            near = {
                round(exceedance(LEVELS, peaks[f"h{i}"], threshold - added + d), 6)
                for d in (-1e-9, 0.0, 1e-9)
            }
            self.assertIn(round(float(found.overload(threshold)[i]), 6), near | {round(chance, 6)})

    def test_thresholds_are_not_mixed_up(self) -> None:
        found = estimates(
            snapshot({"a": 50.0}, {"a": (40.0, 60.0, 80.0)}), [state("a")], spec(), [0.0]
        )
        first = found.overload(60.0)
        self.assertAlmostEqual(0.5, first[0])
        self.assertIs(first, found.overload(60.0))
        self.assertAlmostEqual(0.1, found.overload(80.0)[0])


class OncePerRequest(unittest.TestCase):
    """Weighers of one request share it; another request, or vCPUs that changed, do not."""

    def test_it_is_made_anew_when_anything_changed(self) -> None:
        held, estimator = Columns.of(snapshot({"a": 50.0, "b": 50.0})), Estimator(lambda: 0.0)
        states, request = [state("a", used=16), state("b", used=16)], spec()
        first = estimator.of(held, states, request, 1800.0)
        self.assertIs(first, estimator.of(held, list(states), request, 1800.0))
        self.assertIsNot(first, estimator.of(held, states, spec(), 1800.0))
        again = estimator.of(held, states, request, 1800.0)
        states[0].vcpus_used += 8  # the request's first instance was put there
        after = estimator.of(held, states, request, 1800.0)
        self.assertGreater(after.added[0], again.added[0])
        self.assertEqual(1, len(estimator.of(held, states[1:], request, 1800.0).load))
        turned = estimator.of(held, states[::-1], request, 1800.0)
        self.assertEqual(after.load.tolist()[::-1], turned.load.tolist())
        newer = Columns.of(snapshot({"a": 5.0, "b": 5.0}))
        found = estimator.of(newer, states, request, 1800.0)
        self.assertAlmostEqual(5.0, found.load[0] - found.added[0])

    def test_host_states_are_not_kept_longer_than_the_request(self) -> None:
        held, estimator = Columns.of(snapshot({"a": 50.0})), Estimator(lambda: 0.0)
        states, request = [Weak("a")], spec()
        alive = weakref.ref(states[0])
        first = estimator.of(held, states, request, 1800.0)
        self.assertIs(first, estimator.of(held, states, request, 1800.0))
        estimator.of(held, states, None, 1800.0)
        del states, request
        gc.collect()
        self.assertIsNone(alive())

    def test_requests_that_nova_keeps_are_no_leak(self) -> None:
        held, estimator = Columns.of(snapshot({"a": 50.0})), Estimator(lambda: 0.0)
        kept = [spec() for _ in range(3 * MAX_REQUESTS)]
        for request in kept:
            estimator.of(held, [state("a")], request, 1800.0)
        self.assertLessEqual(len(estimator._made), MAX_REQUESTS)

    def test_hosts_with_other_cpus_are_looked_at_anew(self) -> None:
        held, estimator = Columns.of(snapshot({"a": 50.0}, instances={"i1": 160.0})), Estimator()
        for cpus, added in ((16, 10.0), (4, 40.0)):
            found = estimator.of(held, [state("a", cpus=cpus)], spec(), 1800.0)
            self.assertEqual(added, found.added[0])


class Weak:
    """A host state that says when it is gone."""

    vcpus_total, vcpus_used = 16, 4

    def __init__(self, host: str) -> None:
        self.host = host
