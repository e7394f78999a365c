"""A filter that refuses hosts that are likely to be overloaded within the horizon. Optional."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import nova.conf
from nova.scheduler import filters, utils

from nova_cachemig.conf import scheduler as options
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.holder import STALE

FAILED = "the filter failed and passed every host"
ALL = "every host will likely be overloaded: none was refused"


def is_move(spec: Any) -> bool:
    """Whether an existing instance is moved, which a live migration without a host is.

    Such a request ignores the host that the instance is on and names its cell. So does that of a
    cold migration and of an evacuation; Nova does not tell a filter which of them it is.
    """
    destination = getattr(spec, "requested_destination", None)
    return bool(
        getattr(spec, "ignore_hosts", None)
        and destination is not None
        and getattr(destination, "cell", None) is not None
    )


class PredictedOverloadFilter(filters.BaseHostFilter):
    """Refuses a host whose probability of overload is above ``overload_limit``.

    Passes every host when the snapshot is stale, and every host that is unknown.
    """

    def __init__(self) -> None:
        self._conf = nova.conf.CONF
        options.register(self._conf)
        self._consumer = consumer.shared(self._conf)

    def filter_all(self, filter_obj_list: Iterable[Any], spec_obj: Any) -> Iterator[Any]:
        """Those that pass; all of them where none would, unless that is wanted."""
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
        """Whether one host may take the instance; Nova asks for all at once."""
        try:
            return self._verdicts([host_state], filter_properties)[0]
        except Exception as exc:
            self._consumer.faults.note(FAILED, exc, trace=True)
            return True

    def _verdicts(self, states: Sequence[Any], spec: Any) -> list[bool]:
        everyone = [True] * len(states)
        conf = self._conf.cachemig_scheduler
        if utils.request_is_rebuild(spec):
            return everyone  # it stays where it is
        if conf.filter_requests == "moves" and not is_move(spec):
            return everyone
        self._consumer.ensure()
        snapshot = self._consumer.holder.fresh(conf.max_age)
        if snapshot is None:
            self._consumer.faults.note(STALE)
            return everyone
        hosts = self._consumer.outlook.of(snapshot, states, spec, conf.settle_time)
        refused = hosts.overload(conf.overload_threshold) > conf.overload_limit
        verdicts: list[bool] = (~refused).tolist()  # what is unknown (NaN) is not refused
        return verdicts
