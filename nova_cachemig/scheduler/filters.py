"""An optional filter that rejects hosts that will probably be overloaded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import nova.conf
from nova.scheduler import filters, utils

from nova_cachemig.scheduler import consumer

FAILED = "the filter failed and passed every host"
ALL = "every host will probably be overloaded: the filter rejected none"


def is_move(spec: Any) -> bool:
    """Whether the request moves an existing instance, as a live migration does.

    Such a request excludes the instance's host and names its cell. This is equally true of cold
    migrations and evacuations: a filter cannot tell them apart.
    """
    destination = getattr(spec, "requested_destination", None)
    return bool(
        getattr(spec, "ignore_hosts", None)
        and destination is not None
        and getattr(destination, "cell", None) is not None
    )


class PredictedOverloadFilter(filters.BaseHostFilter):
    """Rejects a host whose probability of overload is above ``overload_limit``.

    Passes every host while the snapshot is stale, and always passes unknown hosts.
    """

    def __init__(self) -> None:
        self._conf = nova.conf.CONF
        self._consumer = consumer.shared(self._conf)

    def filter_all(self, filter_obj_list: Iterable[Any], spec_obj: Any) -> Iterator[Any]:
        """Yield the hosts that pass; all hosts if none would, unless ``filter_may_refuse_all``."""
        states = list(filter_obj_list)
        try:
            verdicts = self._verdicts(states, spec_obj)
            passing = list(itertools.compress(states, verdicts))
            if not passing and states and not self._conf.cachemig_scheduler.filter_may_refuse_all:
                self._consumer.faults.note(ALL, f"{len(states)} hosts")
                return iter(states)
        except Exception as exc:  # Nova would fail the request
            self._consumer.faults.note(FAILED, exc, trace=True)
            return iter(states)
        return iter(passing)

    def host_passes(self, host_state: Any, filter_properties: Any) -> bool:
        """Whether one host passes. Nova itself calls ``filter_all``."""
        try:
            return self._verdicts([host_state], filter_properties)[0]
        except Exception as exc:
            self._consumer.faults.note(FAILED, exc, trace=True)
            return True

    def _verdicts(self, states: Sequence[Any], spec: Any) -> list[bool]:
        everyone = [True] * len(states)
        conf = self._conf.cachemig_scheduler
        if utils.request_is_rebuild(spec):
            return everyone  # the instance stays on its host
        if conf.filter_requests == "moves" and not is_move(spec):
            return everyone
        self._consumer.ensure()
        snapshot = self._consumer.holder.fresh(conf.max_age)
        if snapshot is None:
            self._consumer.note_missing()
            return everyone
        hosts = self._consumer.estimator.of(snapshot, states, spec, conf.pending_time)
        refused = hosts.overload(conf.overload_threshold) > conf.overload_limit
        verdicts: list[bool] = (~refused).tolist()  # NaN (unknown) compares false: it passes
        return verdicts
