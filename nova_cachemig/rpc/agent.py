"""The contract of the agent, for nova-compute and operators: see :mod:`.agent_client`.

Every command is idempotent, keyed by instance and by Nova's request id. The agent handles requests
on several threads, so it may handle two that follow each other closely in the other order.

Version history:

* 1.0 - begin, wait_warm, guest_event, handovers, handover, services, reload, ping
* 1.1 - guest_event: the field ``post_copy``. nova-compute still sends the cast as 1.0, and an agent
  of 1.0 ignores the field and finds the word "postcopy" in ``detail``. An agent of 1.1 does so
  itself where the field is missing. The kind ``iteration`` of 1.0 is no longer sent. An agent of
  1.1 ignores it.
  New arguments: handovers has ``offset``, services has ``after``, and handover accepts None as
  ``request``. New in responses: services has every field of the service file, ``phase`` instead of
  ``state``, address_from and reached; ping has rpc_version, listening, faults, unreachable and
  service_errors. The contract :mod:`.journal` is new beside this one.
* 1.2 - The context of a cast has ``age``: the seconds for which it waited at its sender. The agent
  computes the time of an event from it, by its own clock. An agent of 1.1 ignores it. If an older
  sender has none, the agent takes the time of receipt. ``at`` of ``begin`` only shows that the
  message may be old.
* 1.3 - instance_changed, a cast. An older agent has no such method. So nova-compute does not send
  it to an agent whose ping says an older version. An agent of 1.3 asks Nova also without it.
* 1.4 - propose_policy, a call. An older agent has no such method, and the command says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from typing import Any, Final, Protocol

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.rpc import bus, checks, journal
from nova_cachemig.rpc.cast_queue import MAX_AGE
from nova_cachemig.rpc.server import Ownership, RpcServer

VERSION: Final = "1.4"
SLICE: Final = 2.0
"""Seconds, at most, for which the agent keeps one ``wait_warm`` waiting."""
WAITING_LIMIT: Final = 960
"""Calls of ``wait_warm`` that may wait at the same time; further ones get a response at once."""
THREADS: Final = WAITING_LIMIT + 64
"""Threads, at most, that handle requests. They exist only while they are needed. Since those that
wait never take all of them, an event of the hypervisor never waits behind ``wait_warm``."""
HANDOVERS_LIMIT: Final = 1000
HANDOVERS_PAGE: Final = 100
SERVICES_PAGE: Final = 500
_RETIRED_KINDS: Final = ("iteration",)
"""Kinds of events that nova-compute of RPC 1.0 sends and that mean nothing to the agent."""
_RECONNECT_WITHIN: Final = 2
"""Seconds, at most, between attempts of the agent to reconnect (oslo.messaging's default: 30)."""


@dataclasses.dataclass(frozen=True, slots=True)
class WarmResponse:
    """The response to ``wait_warm``. ``ready``: the migration need not wait for the cache."""

    ready: bool
    phase: str
    reason: str


class AgentEndpoint(Protocol):
    """Plain functions, idempotent. Several run at the same time.

    A ValueError goes back to the caller as a sentence.
    """

    def begin(
        self,
        ctxt: bus.Context,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
        behind: float,
    ) -> None:
        """Nova prepares a live migration. ``at``: UNIX seconds, by this host's clock.

        ``behind``: seconds by which the sender's own time is behind ``at``. Its clock may be wrong,
        or the message was queued while no agent was running.
        """

    def wait_warm(self, ctxt: bus.Context, handover: HandoverId, wait: float) -> dict[str, Any]:
        """Return within ``wait`` seconds: ``{"ready": bool, "phase": str, "reason": str}``."""

    def guest_event(self, ctxt: bus.Context, event: GuestEvent) -> None:
        """An event of a live migration; its time is by this host's clock."""

    def instance_changed(self, ctxt: bus.Context, instance: str, change: InstanceChange) -> None:
        """The addresses of an instance may have changed, outside of a migration."""

    def handovers(self, ctxt: bus.Context, limit: int, offset: int) -> list[HandoverRecord]:
        """At most ``limit`` handovers, the newest first, without the first ``offset``."""

    def handover(
        self, ctxt: bus.Context, instance: str, request: str | None
    ) -> HandoverRecord | None:
        """One handover, or None if it is not known; the newest if ``request`` is None."""

    def services(self, ctxt: bus.Context) -> list[dict[str, Any]]:
        """All services by name: the fields of the file, address, phase and error of each."""

    def propose_policy(self, ctxt: bus.Context, service: str) -> dict[str, Any]:
        """A policy for a service, from a sample of its requests."""

    def reload(self, ctxt: bus.Context) -> list[str]:
        """Read the service files now; the errors."""

    def ping(self, ctxt: bus.Context) -> dict[str, Any]:
        """host and version, rpc_version, listening, faults, unreachable, service_errors."""


class Dispatch:
    """Turns what came over the wire into the model's types, or raises ValueError."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, endpoint: AgentEndpoint) -> None:
        self._endpoint = endpoint
        self._waiting = threading.Semaphore(WAITING_LIMIT)

    @oslo_messaging.expected_exceptions(ValueError)
    def begin(
        self,
        ctxt: bus.Context,
        instance: Any,
        request: Any,
        source: Any,
        destination: Any,
        at: Any,
    ) -> None:
        """See :class:`AgentEndpoint`, also for the others."""
        happened = _time_of(ctxt)
        self._endpoint.begin(
            ctxt,
            _handover_id(instance, request),
            checks.optional_name(source, "source"),
            checks.optional_name(destination, "destination"),
            happened,
            happened - checks.number(at, "at"),
        )

    @oslo_messaging.expected_exceptions(ValueError)
    def wait_warm(
        self, ctxt: bus.Context, instance: Any, request: Any, wait: Any
    ) -> dict[str, Any]:
        seconds = checks.between(wait, "wait", 0.0, SLICE)
        handover = _handover_id(instance, request)
        if not self._waiting.acquire(blocking=False):
            return self._endpoint.wait_warm(ctxt, handover, 0.0)
        try:
            return self._endpoint.wait_warm(ctxt, handover, seconds)
        finally:
            self._waiting.release()

    @oslo_messaging.expected_exceptions(ValueError)
    def guest_event(self, ctxt: bus.Context, event: Any) -> None:
        if isinstance(event, dict) and event.get("kind") in _RETIRED_KINDS:
            return
        parsed = GuestEvent.from_wire(event)
        self._endpoint.guest_event(ctxt, dataclasses.replace(parsed, at=_time_of(ctxt)))

    @oslo_messaging.expected_exceptions(ValueError)
    def instance_changed(self, ctxt: bus.Context, instance: Any, change: Any) -> None:
        kind = InstanceChange(checks.text(change, "change", checks.NAME_LIMIT))
        self._endpoint.instance_changed(ctxt, checks.name(instance, "instance"), kind)

    @oslo_messaging.expected_exceptions(ValueError)
    def handovers(self, ctxt: bus.Context, limit: Any, offset: Any = 0) -> list[dict[str, Any]]:
        most = int(checks.between(limit, "limit", 0, HANDOVERS_LIMIT))
        skipped = int(checks.between(offset, "offset", 0, HANDOVERS_LIMIT))
        return [record.to_wire() for record in self._endpoint.handovers(ctxt, most, skipped)]

    @oslo_messaging.expected_exceptions(ValueError)
    def handover(self, ctxt: bus.Context, instance: Any, request: Any) -> dict[str, Any] | None:
        record = self._endpoint.handover(
            ctxt, checks.name(instance, "instance"), checks.optional_name(request, "request")
        )
        return None if record is None else record.to_wire()

    @oslo_messaging.expected_exceptions(ValueError)
    def services(self, ctxt: bus.Context, after: Any = None) -> list[dict[str, Any]]:
        found = self._endpoint.services(ctxt)
        if after is None:  # of 1.0: all
            return found
        behind = checks.text(after, "after", checks.NAME_LIMIT)
        return [service for service in found if service["name"] > behind][:SERVICES_PAGE]

    @oslo_messaging.expected_exceptions(ValueError)
    def propose_policy(self, ctxt: bus.Context, service: Any) -> dict[str, Any]:
        return self._endpoint.propose_policy(ctxt, checks.name(service, "service"))

    @oslo_messaging.expected_exceptions(ValueError)
    def reload(self, ctxt: bus.Context) -> dict[str, list[str]]:
        return {"errors": self._endpoint.reload(ctxt)}

    @oslo_messaging.expected_exceptions(ValueError)
    def ping(self, ctxt: bus.Context) -> dict[str, Any]:
        return self._endpoint.ping(ctxt)


def server(
    conf: cfg.ConfigOpts,
    endpoint: AgentEndpoint,
    *,
    host: str,
    topic: str,
    transport_url: str | None = None,
    review: journal.JournalEndpoint | None = None,
    ownership: Ownership | None = None,
) -> RpcServer:
    """The server of the agent named ``host``. ``conf`` is the agent's own: a default changes.

    ``review`` serves the contract :mod:`.journal`. ``ownership`` finds another agent on the topic.
    """

    def reconnect_soon() -> None:
        if "oslo_messaging_rabbit" in conf:
            group = "oslo_messaging_rabbit"
            conf.set_default("rabbit_interval_max", _RECONNECT_WITHIN, group=group)

    return RpcServer(
        conf,
        bus.target(topic, VERSION, host),
        [Dispatch(endpoint), *([] if review is None else [journal.Dispatch(review)])],
        url=transport_url,
        self_check=True,
        prepare=reconnect_soon,
        threads=THREADS,
        ownership=ownership,
    )


def _time_of(ctxt: bus.Context) -> float:
    """When a message was made, by this host's clock; the sender's clock may be wrong."""
    age = 0.0
    with contextlib.suppress(ValueError):  # an older sender has none
        age = checks.between(ctxt.get("age"), "age", 0.0, MAX_AGE)
    return time.time() - age


def _handover_id(instance: Any, request: Any) -> HandoverId:
    return HandoverId(checks.name(instance, "instance"), checks.name(request, "request"))
