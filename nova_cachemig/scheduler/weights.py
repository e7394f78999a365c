"""Weighers: the host that will be least loaded, the host that will least likely be overloaded.

Both are neutral (every host the same) when the snapshot is stale, and give a host that is unknown
the mean of the others. Memory only; never raise: what goes wrong is counted, logged once, and
Nova goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nova.conf
import numpy as np
from nova.scheduler import utils, weights

from nova_cachemig.conf import scheduler as options
from nova_cachemig.forecast.history import Floats
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.holder import STALE
from nova_cachemig.scheduler.outlook import Expected

UNKNOWN = "hosts without a forecast"
FAILED = "a weigher failed and was neutral"

MOST_AGGREGATES = 10_000
"""Of so many it is remembered at most that they do not set a multiplier."""


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
        self._silent: dict[int, Any] = {}
        """By id, aggregates that do not set the multiplier. Nova replaces one that changes."""

    def weight_multiplier(self, host_state: Any) -> float:
        """The option's, unless an aggregate of the host says otherwise (as Nova's own do)."""
        default, aggregates = self._multiplier, host_state.aggregates
        if not aggregates and default is not None:
            return default  # 1,000 times a request
        if default is None:
            default = float(self._conf.cachemig_scheduler[self.multiplier_name])
        for aggregate in aggregates:
            if self._silent.get(id(aggregate)) is not aggregate and self._is_set(aggregate):
                return float(utils.get_weight_multiplier(host_state, self.multiplier_name, default))
        return default

    def _is_set(self, aggregate: Any) -> bool:
        if self.multiplier_name in aggregate.metadata:
            return True
        if len(self._silent) >= MOST_AGGREGATES:
            self._silent.clear()
        self._silent[id(aggregate)] = aggregate  # held, so that the id is nobody else's
        return False

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
        found = self._found(hosts, conf)
        unknown = np.isnan(found)
        if unknown.any():
            which = np.flatnonzero(unknown)
            self._consumer.faults.note(UNKNOWN, f"{len(which)}, such as {states[which[0]].host}")
            found[which] = 0.0 if unknown.all() else found[~unknown].mean()
        weights: list[float] = found.tolist()
        return weights

    def _found(self, hosts: Expected, conf: Any) -> Floats:
        """A weight of each host, float[N] of its own; NaN where it is unknown."""
        raise NotImplementedError


class PredictedLoadWeigher(PredictedWeigher):
    """1 for a host that will be idle, 0 for one that will be full or fuller."""

    multiplier_name = "predicted_load_weight_multiplier"

    def _found(self, hosts: Expected, conf: Any) -> Floats:
        return np.asarray((1.0 - hosts.load / conf.full_load).clip(0.0, 1.0))


class PredictedOverloadWeigher(PredictedWeigher):
    """1 less the probability that the host is overloaded within the horizon."""

    multiplier_name = "predicted_overload_weight_multiplier"

    def _found(self, hosts: Expected, conf: Any) -> Floats:
        return 1.0 - hosts.overload(conf.overload_threshold)
