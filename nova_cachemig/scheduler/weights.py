"""Weighers that prefer the host with the lowest predicted load or probability of overload.

Both are neutral (equal weights) while the snapshot is stale, and give an unknown host the mean
weight of the others. They read memory only and never raise: an error is counted and logged once,
and Nova goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import nova.conf
import numpy as np
from nova.scheduler import utils, weights

from nova_cachemig.forecast.history import Floats
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.estimate import HostEstimates

UNKNOWN = "hosts without a forecast"
FAILED = "a weigher failed and was neutral"

MAX_AGGREGATES = 10_000
"""Maximum number of aggregates remembered as not setting the multiplier."""


class PredictedWeigher(weights.BaseHostWeigher):
    """The base of both weighers. minval and maxval keep Nova from stretching the weights."""

    minval = 0.0
    maxval = 1.0
    multiplier_name: str

    def __init__(self) -> None:
        self._conf = nova.conf.CONF
        self._consumer = consumer.shared(self._conf)
        self._multiplier: float | None = None
        self._unset: dict[int, Any] = {}
        """Aggregates without the multiplier, by id. Nova replaces an aggregate that changes."""

    def weight_multiplier(self, host_state: Any) -> float:
        """Return the option's multiplier, or that of an aggregate of the host, as in Nova."""
        default, aggregates = self._multiplier, host_state.aggregates
        if not aggregates and default is not None:
            return default  # the fast path: called once per host
        if default is None:
            default = float(self._conf.cachemig_scheduler[self.multiplier_name])
        for aggregate in aggregates:
            if self._unset.get(id(aggregate)) is not aggregate and self._is_set(aggregate):
                return float(utils.get_weight_multiplier(host_state, self.multiplier_name, default))
        return default

    def _is_set(self, aggregate: Any) -> bool:
        if self.multiplier_name in aggregate.metadata:
            return True
        if len(self._unset) >= MAX_AGGREGATES:
            self._unset.clear()
        self._unset[id(aggregate)] = aggregate  # the reference keeps the id unique
        return False

    def _weigh_object(self, host_state: Any, weight_properties: Any) -> float:
        """Weigh a single host. Nova itself calls ``weigh_objects``."""
        return self._weights([host_state], weight_properties)[0]

    def weigh_objects(self, weighed_obj_list: Sequence[Any], weight_properties: Any) -> list[float]:
        """Return the weight of each host, from 0 to 1."""
        return self._weights([weighed.obj for weighed in weighed_obj_list], weight_properties)

    def _weights(self, states: Sequence[Any], spec: Any) -> list[float]:
        try:
            return self._predicted(states, spec)
        except Exception as exc:  # Nova would fail the request
            self._consumer.faults.note(FAILED, exc, trace=True)
            self._multiplier = 0.0  # reading the option again may raise again
            return [0.0] * len(states)

    def _predicted(self, states: Sequence[Any], spec: Any) -> list[float]:
        conf = self._conf.cachemig_scheduler
        self._multiplier = float(conf[self.multiplier_name])
        self._consumer.ensure()
        snapshot = self._consumer.holder.fresh(conf.max_age)
        if snapshot is None:
            self._consumer.note_missing()
            return [0.0] * len(states)
        hosts = self._consumer.estimator.of(snapshot, states, spec, conf.pending_time)
        found = self._host_weights(hosts, conf)
        unknown = np.isnan(found)
        if unknown.any():
            which = np.flatnonzero(unknown)
            self._consumer.faults.note(UNKNOWN, f"{len(which)}, such as {states[which[0]].host}")
            found[which] = 0.0 if unknown.all() else found[~unknown].mean()
        weights: list[float] = found.tolist()
        return weights

    def _host_weights(self, hosts: HostEstimates, conf: Any) -> Floats:
        """Return a weight for each host, a new float[N]; NaN for an unknown host."""
        raise NotImplementedError


class PredictedLoadWeigher(PredictedWeigher):
    """Weight 1 for a host that will be idle, 0 for one at ``full_load`` or above."""

    multiplier_name = "predicted_load_weight_multiplier"

    def _host_weights(self, hosts: HostEstimates, conf: Any) -> Floats:
        return np.asarray((1.0 - hosts.load / conf.full_load).clip(0.0, 1.0))


class PredictedOverloadWeigher(PredictedWeigher):
    """Weight 1 minus the probability of overload within the horizon."""

    multiplier_name = "predicted_overload_weight_multiplier"

    def _host_weights(self, hosts: HostEstimates, conf: Any) -> Floats:
        return 1.0 - hosts.overload(conf.overload_threshold)
