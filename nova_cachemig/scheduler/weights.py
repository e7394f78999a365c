"""Weighers: the host that will be least loaded, the host that will least likely be overloaded.

Both are neutral (every host the same) when the snapshot is stale, and give a host that is unknown
the mean of the others. Memory only; never raise: what goes wrong is counted, logged once, and
Nova goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nova.conf
from nova.scheduler import utils, weights

from nova_cachemig.conf import scheduler as options
from nova_cachemig.model.snapshot import Snapshot
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.holder import STALE
from nova_cachemig.scheduler.outlook import Entry, overloads

UNKNOWN = "hosts without a forecast"
FAILED = "a weigher failed and was neutral"


class PredictedWeigher(weights.BaseHostWeigher):
    """What both have in common. Weights are from 0 to 1, so Nova does not stretch differences."""

    minval = 0.0
    maxval = 1.0
    multiplier_name: str

    def __init__(self) -> None:
        self._conf = nova.conf.CONF
        options.register(self._conf)
        self._consumer = consumer.shared(self._conf)
        self._multiplier: float | None = None

    def weight_multiplier(self, host_state: Any) -> float:
        """The option's, unless an aggregate of the host says otherwise (as Nova's own do)."""
        default = self._multiplier
        if default is None:
            default = float(self._conf.cachemig_scheduler[self.multiplier_name])
        for aggregate in host_state.aggregates:  # 1,000 times a request, nearly always in vain
            if self.multiplier_name in aggregate.metadata:
                break
        else:
            return default
        return float(utils.get_weight_multiplier(host_state, self.multiplier_name, default))

    def _weigh_object(self, host_state: Any, weight_properties: Any) -> float:
        """One host alone; Nova asks for all at once."""
        return self._weights([host_state], weight_properties)[0]

    def weigh_objects(self, weighed_obj_list: Sequence[Any], weight_properties: Any) -> list[float]:
        """The weights of all, from 0 to 1."""
        return self._weights([weighed.obj for weighed in weighed_obj_list], weight_properties)

    def _weights(self, states: Sequence[Any], spec: Any) -> list[float]:
        try:
            return self._predicted(states, spec)
        except Exception as exc:  # Nova would fail the request
            self._consumer.faults.note(FAILED, exc, trace=True)
            return [0.0] * len(states)

    def _predicted(self, states: Sequence[Any], spec: Any) -> list[float]:
        conf = self._conf.cachemig_scheduler
        self._multiplier = float(conf[self.multiplier_name])
        self._consumer.ensure()
        snapshot = self._consumer.holder.fresh(conf.max_age)
        if snapshot is None:
            self._consumer.faults.note(STALE)
            return [0.0] * len(states)
        hosts = self._consumer.outlook.of(snapshot, states, spec, conf.settle_time)
        found = self._found(snapshot, hosts, conf)
        if None not in found:
            return found  # type: ignore[return-value]
        known = [weight for weight in found if weight is not None]
        names = [s.host for s, w in zip(states, found, strict=True) if w is None]
        self._consumer.faults.note(UNKNOWN, f"{len(names)}, such as {names[0]}")
        neutral = sum(known) / len(known) if known else 0.0
        return [neutral if weight is None else weight for weight in found]

    def _found(self, snapshot: Snapshot, hosts: Sequence[Entry], conf: Any) -> list[float | None]:
        raise NotImplementedError


class PredictedLoadWeigher(PredictedWeigher):
    """1 for a host that will be idle, 0 for one that will be full or fuller."""

    multiplier_name = "predicted_load_weight_multiplier"

    def _found(self, snapshot: Snapshot, hosts: Sequence[Entry], conf: Any) -> list[float | None]:
        full = conf.full_load
        return [  # from 0 to 1; a call of min, max or our own for each host would take longer
            None
            if one is None
            else 0.0
            if (weight := 1.0 - (one[0].mean + one[1]) / full) < 0.0
            else 1.0
            if weight > 1.0
            else weight
            for one in hosts
        ]


class PredictedOverloadWeigher(PredictedWeigher):
    """1 less the probability that the host is overloaded within the horizon."""

    multiplier_name = "predicted_overload_weight_multiplier"

    def _found(self, snapshot: Snapshot, hosts: Sequence[Entry], conf: Any) -> list[float | None]:
        chances = overloads(snapshot, hosts, conf.overload_threshold)
        return [None if chance is None else 1.0 - chance for chance in chances]
