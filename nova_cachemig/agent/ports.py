"""The agent's ports: what the manager needs of each component.

All methods are coroutines of the agent's one event loop. They are idempotent and raise only
:class:`ComponentError` or a subclass, whose text says in one sentence what failed and whose fault
it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Service, Target


class ComponentError(Exception):
    """A part could not do what it was asked; the text is one sentence for an operator."""


@dataclasses.dataclass(frozen=True, slots=True)
class EdgeCounts:
    """What the edge did for one service since its state last left ``pass``."""

    hits: int = 0
    misses: int = 0
    held: int = 0
    holding_now: int = 0
    longest_wait: float = 0.0  # seconds
    failed: int = 0  # answers of the edge's own making, 5xx


class Engine(Protocol):
    """HAProxy and Varnish of this cache node (``agent/engine``)."""

    cache_socket: str  # path of Varnish's unix socket, HTTP/1
    guest_socket: str  # path of the inner HAProxy's unix socket, towards guests

    async def start(self) -> None:
        """Render, validate and run both engines; every service is in ``pass``."""

    async def stop(self) -> None:
        """End the engines that this agent started. Requests in flight are finished first."""

    async def apply(self, routes: Sequence[Route]) -> None:
        """Serve just these. A reload that is needed waits while any service is not ``pass``."""

    async def set_state(self, service: str, state: EdgeState) -> None:
        """Flip one service; back within milliseconds, and in force for the next request."""

    async def retarget(self, service: str, target: Target) -> None:
        """The guest answers at another address from now on."""

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """What writes do to reads, many at once, in force when this returns.

        ``stale``: host → URLs whose stored answers become unusable. ``pending``: key
        (``url:/a?b`` or ``client:10.0.0.1``) → whether its reads are held.
        """

    async def kill_reads(self, service: str) -> None:
        """Cut guest connections on which reads are stuck; the edge sends those reads anew."""

    async def writes_in_flight(self, service: str) -> int:
        """Writes that went straight to the guest and have not been answered."""

    async def holding(self, service: str) -> int:
        """Requests that are held, or were and have not been answered."""

    async def counts(self, service: str) -> EdgeCounts:
        """Counters since the service last left ``pass``."""

    def accesses(self) -> AsyncIterator[AccessRecord]:
        """The access log as it happens; loses records rather than waits."""


@dataclasses.dataclass(frozen=True, slots=True)
class WriteCounts:
    """Where the writes of one service are."""

    accepted: int = 0  # since the service was opened
    waiting: int = 0  # on disk, not yet sent
    in_flight: int = 0  # sent, no answer yet
    in_doubt: int = 0  # set aside for a person
    answered: int = 0  # since the service was opened
    longest_wait: float = 0.0  # seconds between acceptance and the guest's answer


class WritePath(Protocol):
    """Intake, journal and replay (``agent/intake``, ``agent/journal``, ``agent/replay``)."""

    intake_socket: str  # path of the unix socket to which the edge sends writes

    async def start(self) -> None:
        """Open the journal, take back what a crash left, listen on the socket."""

    async def stop(self) -> None:
        """Accept nothing more; what is accepted stays in the journal."""

    async def open(self, service: Service) -> None:
        """Accept writes of this service from now on; none are sent before :meth:`send_to`."""

    async def send_to(self, service: str, target: Target) -> None:
        """The guest answers here: send what waits, in order, and go on as writes arrive."""

    async def hold(self, service: str) -> None:
        """The guest is silent: send no further write; one in flight keeps waiting."""

    async def drained(self, service: str) -> None:
        """Return at the first instant at which nothing waits and nothing is in flight."""

    async def close(self, service: str) -> None:
        """No more writes come from the edge. Raises ComponentError if any is still waiting."""

    async def unfinished(self) -> dict[str, int]:
        """Service name → writes on disk that are not answered (after a restart)."""

    async def counts(self, service: str) -> WriteCounts:
        """Where the writes of this service are."""


@dataclasses.dataclass(frozen=True, slots=True)
class WarmCounts:
    """What one warming did."""

    wanted: int = 0
    fetched: int = 0
    failed: int = 0
    uncacheable: int = 0


class Warmer(Protocol):
    """Fills the cache with the pages that users are about to need (``agent/warm``)."""

    def record_access(self, record: AccessRecord) -> None:
        """Learn from one access; never waits."""

    async def warm(self, service: str, *, deadline: float) -> WarmCounts:
        """Fetch through the cache until done or ``deadline`` (loop time, s); bounded rate."""

    async def keep_warm(self, service: str) -> None:
        """Go on, slowly, with what is newly popular or was invalidated, until cancelled."""

    def pages(self, service: str, limit: int) -> list[PageKey]:
        """The pages that would be fetched now, the most needed first."""


class Prober(Protocol):
    """Finds out whether a guest answers (``agent/probe``)."""

    async def answers(self, target: Target, *, timeout: float) -> bool:
        """One fresh TCP connection; ``timeout`` in seconds."""

    async def wait_answers(self, target: Target, *, interval: float = 0.02) -> None:
        """Return once the guest answers; a fresh connection every ``interval`` seconds."""

    async def wait_silent(self, target: Target, *, interval: float = 0.02) -> None:
        """Return once the guest has stopped to answer for several probes in a row."""


class HandoverStore(Protocol):
    """Handovers on disk (``agent/journal``)."""

    async def save(self, record: HandoverRecord) -> None:
        """Durable when it returns."""

    async def unfinished(self) -> list[HandoverRecord]:
        """Those without an outcome, the oldest first."""

    async def newest(self, limit: int) -> list[HandoverRecord]:
        """The newest first."""
