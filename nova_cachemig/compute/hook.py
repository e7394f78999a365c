"""The reaction of nova-compute to the events of a live migration."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from oslo_log import log

from nova_cachemig.compute.notification import MigrationEvent
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent import SLICE, WarmResponse
from nova_cachemig.rpc.cast_queue import QueuedCast
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from nova_cachemig.rpc.faults import Faults

LOG = log.getLogger(__name__)

_MAX_BEGUN: Final = 100
"""Migrations to this host whose ``begin`` is remembered: far more than Nova allows."""
_LAST_REQUEST: Final = 0.5
"""Seconds before the deadline after which no request is sent: its response could be too late."""
_REPEAT_DELAY: Final = 0.25
"""Seconds, at most, before a request is repeated whose response came early."""


class Agent(Protocol):
    """The methods of :class:`~nova_cachemig.rpc.agent_client.AgentClient` that the hook calls."""

    def begin(
        self,
        ctxt: dict[str, str],
        instance: str,
        request: str,
        source: str | None,
        destination: str | None,
        at: float,
    ) -> QueuedCast: ...

    def guest_event(self, ctxt: dict[str, str], event: GuestEvent) -> QueuedCast: ...

    def wait_warm(
        self, ctxt: dict[str, str], instance: str, request: str, wait: float, *, timeout: float
    ) -> WarmResponse: ...


@dataclasses.dataclass(frozen=True, slots=True)
class HookTimeouts:
    """In seconds."""

    warm: float  # maximum delay of a migration
    response: float  # maximum wait for one response of the agent
    retry_after: float  # during which no migration waits for an agent that did not respond


class MigrationHook:
    """Reports to the agent, and waits for it once: when the destination is prepared.

    It waits there at most ``timeouts.warm`` seconds, on a clock that does not jump, and never
    for an agent that does not respond. ``clock`` is monotonic, ``wall`` is UNIX time; both in s.
    ``on_failure`` is called when the agent did not respond or refused, and must not wait.
    """

    def __init__(
        self,
        agent: Agent,
        timeouts: HookTimeouts,
        faults: Faults,
        *,
        on_failure: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._agent = agent
        self._timeouts = timeouts
        self._faults = faults
        self._on_failure = on_failure
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._lock = threading.Lock()
        self._begun: collections.OrderedDict[tuple[str, str], QueuedCast] = (
            collections.OrderedDict()
        )
        self._silent_until = float("-inf")

    def handle(self, event: MigrationEvent) -> None:
        """Act upon one event. Only ARM waits."""
        if event.kind is EventKind.BEGIN:
            self._begin(event)
        elif event.kind is EventKind.ARM:
            self._wait(event)
        else:
            self._report_end(event)

    def agent_responds(self) -> None:
        """Wait for the agent again from the next migration on: it has responded."""
        self._silent_until = float("-inf")

    def _begin(self, event: MigrationEvent) -> None:
        cast = self._agent.begin(
            _context(event),
            event.instance,
            event.request,
            event.instance_host,
            event.host,
            self._wall(),
        )
        with self._lock:
            self._begun[event.instance, event.request] = cast
            while len(self._begun) > _MAX_BEGUN:
                self._begun.popitem(last=False)

    def _report_end(self, event: MigrationEvent) -> None:
        reported = GuestEvent(
            instance=event.instance,
            kind=event.kind,
            at=self._wall(),
            host=event.host,
            request=event.request,
            detail=event.name,
        )
        self._agent.guest_event(_context(event), reported)

    # -- waiting ---------------------------------------------------------------------------

    def _wait(self, event: MigrationEvent) -> None:
        began = self._clock()
        with self._lock:
            cast = self._begun.pop((event.instance, event.request), None)
        try:
            outcome = self._outcome(event, cast, began + self._timeouts.warm)
        except (UnreachableError, RefusedError) as exc:
            self._silent_until = self._clock() + self._timeouts.retry_after
            self._faults.note("a migration does not wait for the agent", exc)
            self._on_failure()
            outcome = f"not waiting for the agent: {exc}"
        took = self._clock() - began
        LOG.info("cachemig: instance %s, after %.2f s: %s", event.instance, took, outcome)

    def _outcome(self, event: MigrationEvent, cast: QueuedCast | None, deadline: float) -> str:
        """Wait and return the sentence to log.

        Raises UnreachableError or RefusedError if the agent does not respond or refuses.
        """
        if self._timeouts.warm <= 0:
            return "migrations are never delayed ([cachemig] warm_timeout = 0)"
        if self._clock() < self._silent_until:
            return "the agent did not respond a short while ago; not waiting for it"
        if cast is not None and not cast.delivered(self._patience(deadline)):
            raise UnreachableError(cast.error or "the message bus accepts no messages")
        wait = 0.0  # the first request only finds out whether an agent is there
        while True:
            sent = self._clock()
            response = self._request(event, wait, deadline)
            if response is None or self._clock() + _LAST_REQUEST >= deadline:
                limit = f"[cachemig] warm_timeout = {self._timeouts.warm:g}"
                return f"goes on though the cache is not warm ({limit})"
            if response.ready:
                return f"goes on: {response.reason} ({response.phase})"
            if (early := sent + wait - self._clock()) > 0:
                self._sleep(
                    min(early, _REPEAT_DELAY)
                )  # an agent that responds early must not be flooded
            wait = max(0.0, min(SLICE, deadline - self._clock() - _LAST_REQUEST))

    def _request(self, event: MigrationEvent, wait: float, deadline: float) -> WarmResponse | None:
        """Wait for one slice. None if the deadline passed before the response was due."""
        due = wait + self._timeouts.response
        timeout = max(0.0, min(due, deadline - self._clock()))
        try:
            return self._agent.wait_warm(
                _context(event), event.instance, event.request, wait, timeout=timeout
            )
        except UnreachableError:
            if timeout < due:
                return None
            raise

    def _patience(self, deadline: float) -> float:
        return max(0.0, min(self._timeouts.response, deadline - self._clock()))


def _context(event: MigrationEvent) -> dict[str, str]:
    return {"request_id": event.request}
