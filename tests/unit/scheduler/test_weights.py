"""Weighers and filter with Nova's own handlers; no bus, no Nova service."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

import nova.conf
from nova.scheduler import weights as nova_weights
from oslo_config import cfg

from nova_cachemig.conf import scheduler as options
from nova_cachemig.scheduler import consumer, weights
from nova_cachemig.scheduler.filters import ALL, PredictedOverloadFilter
from nova_cachemig.scheduler.filters import FAILED as FILTER_FAILED
from nova_cachemig.scheduler.holder import STALE
from nova_cachemig.scheduler.weights import (
    FAILED,
    UNKNOWN,
    PredictedLoadWeigher,
    PredictedOverloadWeigher,
)
from tests.unit.scheduler.fakes import snapshot, spec, state

CONF = nova.conf.CONF


class NoBus:
    """Replaces the listener and the requesting thread, as already started."""

    def stop(self) -> None:
        pass


class Case(unittest.TestCase):
    def setUp(self) -> None:
        options.register(CONF)
        listener = self.listener = consumer.shared(CONF)
        listener._server = NoBus()  # type: ignore[assignment]
        self.addCleanup(consumer.forget, CONF)

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            CONF.set_override(name, value, group="cachemig_scheduler")
            self.addCleanup(CONF.clear_override, name, group="cachemig_scheduler")

    def hold(self, *args: Any, **kwargs: Any) -> None:
        self.listener.holder.put(snapshot(*args, **kwargs).to_wire())

    def order(self, weigher: Any, states: list[Any], request: Any = None) -> list[str]:
        """The hosts as Nova would sort them."""
        handler = nova_weights.HostWeightHandler()
        request = spec() if request is None else request
        return [one.obj.host for one in handler.get_weighed_objects([weigher], states, request)]

    def weights(self, weigher: Any, states: list[Any]) -> list[float]:
        handler = nova_weights.HostWeightHandler()
        found = {
            w.obj.host: w.weight for w in handler.get_weighed_objects([weigher], states, spec())
        }
        return [found[s.host] for s in states]


class ByLoad(Case):
    def test_spread_and_stack(self) -> None:
        self.hold({"a": 50.0, "b": 10.0, "c": 90.0})
        states = [state(h) for h in "abc"]
        self.assertEqual(["b", "a", "c"], self.order(PredictedLoadWeigher(), states))
        self.set(predicted_load_weight_multiplier=-1.0)
        self.assertEqual(["c", "a", "b"], self.order(PredictedLoadWeigher(), states))

    def test_differences_are_not_stretched(self) -> None:
        self.hold({"a": 50.0, "b": 51.0})
        found = self.weights(PredictedLoadWeigher(), [state("a"), state("b")])
        self.assertAlmostEqual(5.0, found[0], places=2)
        self.assertAlmostEqual(0.1, found[0] - found[1], places=2)

    def test_above_full_is_full(self) -> None:
        self.hold({"a": 150.0, "b": 100.0})
        self.assertEqual([0.0, 0.0], self.weights(PredictedLoadWeigher(), [state("a"), state("b")]))

    def test_an_option_that_cannot_be_read_fails_no_request(self) -> None:
        self.hold({"a": 80.0, "b": 20.0})
        weigher = PredictedLoadWeigher()
        broken = mock.MagicMock()
        broken.cachemig_scheduler.__getitem__.side_effect = cfg.ConfigFileValueError("wrong")
        weigher._conf = broken
        self.assertEqual(["a", "b"], sorted(self.order(weigher, [state("a"), state("b")])))
        self.assertEqual(1, self.listener.faults.counts()[FAILED])

    def test_an_aggregate_has_its_own_multiplier(self) -> None:
        self.hold({"a": 50.0, "b": 50.0, "c": 50.0})
        name = "predicted_load_weight_multiplier"
        states = [state("a"), state("b", **{name: "2"}), state("c", **{name: "nonsense"})]
        found = self.weights(PredictedLoadWeigher(), states)
        self.assertEqual([5.0, 1.0, 5.0], [round(w, 2) for w in found])

    def test_an_aggregate_that_was_replaced_is_read_anew(self) -> None:
        self.hold({"a": 50.0, "b": 50.0})
        weigher, states = PredictedLoadWeigher(), [state("a", zone="x"), state("b")]
        self.assertEqual(10.0, weigher.weight_multiplier(states[0]))
        self.assertEqual(10.0, weigher.weight_multiplier(states[0]))
        changed = state("a", zone="x", predicted_load_weight_multiplier="3")
        states[0].aggregates[:] = changed.aggregates  # as Nova does it
        self.assertEqual(3.0, weigher.weight_multiplier(states[0]))

    def test_aggregates_are_not_kept_without_bound(self) -> None:
        weigher = PredictedLoadWeigher()
        with mock.patch.object(weights, "MAX_AGGREGATES", 3):
            for _ in range(10):
                weigher.weight_multiplier(state("a", zone="x"))
        self.assertLessEqual(len(weigher._unset), 3)

    def test_a_host_that_is_unknown_is_neither_preferred_nor_avoided(self) -> None:
        self.hold({"a": 10.0, "b": 30.0})
        found = self.weights(PredictedLoadWeigher(), [state(h) for h in ("a", "new", "b")])
        self.assertEqual([9.0, 8.0, 7.0], [round(w, 2) for w in found])
        self.assertEqual(1, self.listener.faults.counts()[UNKNOWN])

    def test_the_instance_can_turn_the_choice(self) -> None:
        self.hold({"big": 30.0, "small": 20.0}, instances={"i1": 100.0})
        states = [state("big", cpus=64), state("small", cpus=2)]
        self.assertEqual(["big", "small"], self.order(PredictedLoadWeigher(), states))
        self.assertEqual(["small", "big"], self.order(PredictedLoadWeigher(), states, spec("i2")))

    def test_instances_moved_in_a_row_do_not_go_to_the_same_host(self) -> None:
        self.hold({"a": 40.0, "b": 50.0})
        weigher, states = PredictedLoadWeigher(), [state(h, used=16) for h in "ab"]
        self.assertEqual("a", self.order(weigher, states)[0])
        states[0].vcpus_used += 8  # as consume_from_request and the compute's claim do
        self.assertEqual("b", self.order(weigher, states)[0])


class ByOverload(Case):
    def test_the_one_that_will_pass_the_threshold_loses(self) -> None:
        peaks = {"calm": (60.0, 70.0, 80.0), "wild": (20.0, 50.0, 99.0)}
        self.hold({"calm": 60.0, "wild": 30.0}, peaks)
        states = [state("wild"), state("calm")]
        self.assertEqual(["calm", "wild"], self.order(PredictedOverloadWeigher(), states))
        self.assertEqual(["wild", "calm"], self.order(PredictedLoadWeigher(), states))

    def test_with_the_instance(self) -> None:
        peaks = {"a": (60.0, 70.0, 80.0), "b": (60.0, 70.0, 81.0)}
        self.hold({"a": 60.0, "b": 60.0}, peaks, {"i1": 100.0})
        states = [state("a", cpus=4), state("b", cpus=400)]
        self.assertEqual(["b", "a"], self.order(PredictedOverloadWeigher(), states))


class Neutral(Case):
    def both(self, states: list[Any]) -> None:
        for weigher in (PredictedLoadWeigher(), PredictedOverloadWeigher()):
            self.assertEqual([0.0] * len(states), self.weights(weigher, states))

    def test_without_a_snapshot(self) -> None:
        self.both([state("a"), state("b")])
        self.assertEqual(2, self.listener.faults.counts()[STALE])

    def test_with_a_stale_one(self) -> None:
        self.hold({"a": 10.0, "b": 90.0})
        now = self.listener.holder._clock()
        self.listener.holder._clock = lambda: now + 301.0
        self.both([state("a"), state("b")])

    def test_with_one_of_other_hosts(self) -> None:
        self.hold({"x": 10.0})
        self.both([state("a"), state("b")])

    def test_it_never_raises(self) -> None:
        self.hold({"a": 10.0, "b": 90.0})
        broken = [state("a"), state("b")]
        broken[1].vcpus_used = "many"
        self.both(broken)
        self.assertEqual(2, self.listener.faults.counts()[FAILED])
        self.assertEqual(0.0, PredictedLoadWeigher()._weigh_object(object(), None))

    def test_one_host_alone_has_a_weight_too(self) -> None:
        self.hold({"a": 10.0})
        self.assertAlmostEqual(
            0.9, PredictedLoadWeigher()._weigh_object(state("a"), spec()), places=3
        )


class Filtering(Case):
    def passing(self, names: str, request: Any = None) -> list[str]:
        request = spec() if request is None else request
        states = [state(host) for host in names]
        return [s.host for s in PredictedOverloadFilter().filter_all(states, request)]

    def setUp(self) -> None:
        super().setUp()
        self.hold({"a": 10.0, "b": 95.0})

    def test_it_refuses_what_is_likely_overloaded(self) -> None:
        self.assertEqual(["a", "c"], self.passing("abc"))
        self.assertFalse(PredictedOverloadFilter().host_passes(state("b"), spec()))
        self.assertTrue(PredictedOverloadFilter().host_passes(state("a"), spec()))

    def test_the_limit(self) -> None:
        self.set(overload_threshold=94.0, overload_limit=1.0)
        self.assertEqual(["a", "b"], self.passing("ab"))

    def test_only_moves_unless_all_are_wanted(self) -> None:
        self.assertEqual(["a", "b"], self.passing("ab", spec(move=False)))
        self.set(filter_requests="all")
        self.assertEqual(["a"], self.passing("ab", spec(move=False)))

    def test_a_rebuild_stays(self) -> None:
        self.assertEqual(["b"], self.passing("b", spec(rebuild=True)))

    def test_not_every_host_unless_that_is_wanted(self) -> None:
        self.assertEqual(["b"], self.passing("b"))
        self.assertEqual(1, self.listener.faults.counts()[ALL])
        self.set(filter_may_refuse_all=True)
        self.assertEqual([], self.passing("b"))

    def test_stale_or_broken_passes_all(self) -> None:
        self.assertEqual([], [*PredictedOverloadFilter().filter_all([], spec())])
        states = [state("a"), state("b")]
        states[0].vcpus_used = "many"
        found = list(PredictedOverloadFilter().filter_all(states, spec()))
        self.assertEqual(states, found)
        self.assertEqual(1, self.listener.faults.counts()[FILTER_FAILED])
        self.listener.holder._held = None
        self.assertEqual(["a", "b"], self.passing("ab"))
