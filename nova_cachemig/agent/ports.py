"""The agent's ports: the methods that its packages call on each other.

A port belongs to its user. It declares what that user calls and nothing else, so one component may
satisfy several ports. ``tests/unit/agent/test_ports.py`` proves that every declared member is used
and that every implementation satisfies its ports.

The coroutines run in the agent's one event loop. Commands are idempotent. Unless a docstring says
otherwise, a method raises only :class:`ComponentError` or a subclass; its text says in one sentence
what failed and whose fault it is.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.effects import EndedWrite
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.reach import Attempt
from nova_cachemig.model.reads import ReadCounts
from nova_cachemig.model.service import Service, Target


class ComponentError(Exception):
    """A component could not do what it was asked; the text is one sentence for an operator."""


class NovaUnreachableError(ComponentError):
    """Nova or Keystone does not respond, or refuses the agent's account."""


class GoneError(ComponentError):
    """Nova has deleted the instance, or is deleting it: its addresses may be another's by now."""


# --- what the manager uses --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class EdgeCounts:
    """Counters of the edge for one service since its state last left ``pass``."""

    hits: int = 0
    misses: int = 0
    held: int = 0
    holding_now: int = 0
    longest_wait: float = 0.0  # seconds
    failed: int = 0  # responses that the edge made itself, 5xx


class Engine(Protocol):
    """The edge of one service during a handover (``agent/engine``)."""

    async def set_state(self, service: str, state: EdgeState) -> None:
        """Switch one service. In force for the next request when this returns."""

    async def resend_lost(self, service: str) -> None:
        """The guest is back: repair connections on which its silence has lost a request.

        The edge sends reads again. TCP retransmits writes, so that none is sent twice.
        """

    async def overtaken(self, service: str) -> int:
        """Pages with a write that the guest has not responded to, and another in the journal."""

    async def holding(self, service: str) -> int:
        """Requests that the edge holds, or held and whose response is not complete."""

    async def counts(self, service: str) -> EdgeCounts:
        """Counters since the service last left ``pass``."""

    def read_counts(self, service: str) -> ReadCounts:
        """Reads since then, by rule of the policy and by reason: complete after :meth:`counts`."""


@dataclasses.dataclass(frozen=True, slots=True)
class WriteCounts:
    """Where the writes of one service are."""

    accepted: int = 0  # since the service was opened
    waiting: int = 0  # on disk, not yet sent
    in_flight: int = 0  # sent, no response yet
    in_doubt: int = 0  # in quarantine until an operator decides
    responded: int = 0  # with the guest's response, since the service was opened
    longest_wait: float = 0.0  # seconds between acceptance and the guest's response


class WritePath(Protocol):
    """Intake, journal and replay (``agent/writes``)."""

    async def open(self, service: Service) -> None:
        """Accept writes of this service from now on; none is sent before :meth:`send_to`."""

    async def send_to(self, service: str, target: Target) -> None:
        """The guest is reachable: send what waits, in order, and new writes as they arrive."""

    async def hold(self, service: str) -> None:
        """The guest is silent: send no further write. A write in flight keeps waiting."""

    async def caught_up(self, service: str) -> None:
        """Return when few writes are left, and all of them are new: it is time for :meth:`seal`."""

    async def seal(self, service: str, patience: float) -> None:
        """The edge holds new writes. Return when nothing waits and nothing is in flight.

        For at most ``patience`` seconds, also wait for requests that arrive. From the return on, no
        client gets a 202 before the guest's response. Raises ComponentError if this takes longer
        than the edge may hold writes.
        """

    async def give_up(self, service: str) -> None:
        """Quarantine all writes that are not applied: the deadline has passed.

        From the call on, no client gets a 202 before the guest's response. Return when this is
        durable.
        """

    async def unseal(self, service: str) -> None:
        """The release failed: all writes go through the journal again."""

    async def close(self, service: str) -> None:
        """The edge sends no more writes. Raises ComponentError if any still waits."""

    async def unfinished(self) -> dict[str, int]:
        """Service name → writes on disk without a response (after a restart)."""

    async def counts(self, service: str) -> WriteCounts:
        """Where the writes of this service are."""


@dataclasses.dataclass(frozen=True, slots=True)
class WarmCounts:
    """Result of one warming, in pages.

    ``fetched``: the cache has the page for all users. ``uncacheable``: the response forbids that.
    """

    wanted: int = 0
    fetched: int = 0
    failed: int = 0
    uncacheable: int = 0
    proved: int = 0  # of those fetched: by a proof
    dependent: int = 0  # on who asks
    changing: int = 0  # with each request


class Warmer(Protocol):
    """Fills the cache with the pages that users are about to need (``agent/warm``)."""

    async def warm(self, service: str, *, deadline: float) -> WarmCounts:
        """Fetch through the cache until done or ``deadline`` (loop time, s); bounded rate."""

    def warm_counts(self, service: str) -> WarmCounts:
        """Return the counts of the last :meth:`warm`, also if it was cancelled."""

    def verdict(self, service: str, host: str, url: str) -> str:
        """Why the last handover's warming left users without a page; empty: it did not say.

        One of the values of :class:`nova_cachemig.model.reads.Reason`.
        """

    async def keep_warm(self, service: str) -> None:
        """Fetch newly popular and invalidated pages at a low rate, until cancelled."""


class Prober(Protocol):
    """Finds out whether a guest is reachable (``agent/probe``)."""

    async def wait_reachable(self, target: Target, *, interval: float) -> None:
        """Return once the guest is reachable. ``interval``: seconds between connections."""

    async def wait_silent(self, target: Target, *, interval: float) -> None:
        """Return once several probes in a row are overdue. ``interval``: seconds between them."""

    def expect(self, target: Target) -> None:
        """The guest runs again, or never stopped: it will be reachable soon."""


class HandoverStore(Protocol):
    """Handovers on disk (``agent/journal``)."""

    async def save(self, record: HandoverRecord, *, replaces: HandoverId | None = None) -> None:
        """Durable when it returns. ``replaces``: the id under which it was saved before."""

    async def unfinished(self) -> list[HandoverRecord]:
        """Those without an outcome, the oldest first."""


class MigrationState(enum.StrEnum):
    """State of a migration in Nova's API."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"  # error, cancelled, rolled back
    DELETED = "deleted"  # the instance no longer exists
    UNKNOWN = "unknown"  # no migration, or Nova is unreachable


class Migrations(Protocol):
    """Live migrations as Nova's API shows them (``agent/nova``)."""

    async def migration_state(self, instance: str, lasts: float) -> MigrationState:
        """Of the newest live migration; never raises. ``lasts``: seconds since the handover began.

        No time of another host is compared with one of this host. DELETED if the instance is
        deleted, whatever the migration's state.
        """


# --- what the monitor of guests uses ----------------------------------------------------------


class ConnectionTester(Protocol):
    """Tries a guest once (``agent/probe``)."""

    async def try_guest(self, target: Target, *, timeout: float) -> Attempt:
        """Connect once, for at most ``timeout`` seconds."""


# --- what the RPC endpoint uses ---------------------------------------------------------------


class HandoverReader(Protocol):
    """Handovers on disk, for those who ask (``agent/journal``)."""

    async def newest(self, limit: int) -> list[HandoverRecord]:
        """At most ``limit`` records, the newest first."""


# --- what the services use --------------------------------------------------------------------


class InstanceAddresses(Protocol):
    """An instance of Nova's and its addresses. The methods raise ComponentError."""

    def address(self, network: str | None) -> str:
        """The fixed address on ``network``, or on the first network."""

    def floating_address(self, network: str | None) -> str:
        """The only floating address on ``network``, or on all networks."""

    def may_have(self, address: str) -> bool:
        """Whether Nova reports this address, or none at all: its cache can be empty for a while."""

    def mac_of(self, address: str) -> str:
        """The MAC address of the port with this address; empty if Nova reports none."""


class Instances(Protocol):
    """Instances as Nova's API shows them (``agent/nova``)."""

    async def instance(self, uuid: str) -> InstanceAddresses:
        """The instance.

        Raises NovaUnreachableError, GoneError, or ComponentError for one that Nova never showed.
        """

    async def page(self, after: str | None) -> tuple[Mapping[str, InstanceAddresses], str | None]:
        """One page of all instances by UUID, behind the instance ``after``; and the next ``after``.

        None is the begin, and the end. Deleted instances are not in it. Empty where the account may
        not list all instances. Raises NovaUnreachableError.
        """

    def keep(self, instances: Collection[str]) -> None:
        """Forget that Nova has shown any other instances."""


def alive_socket(intake_socket: str) -> str:
    """Path of the unix socket on which the edge checks whether the agent works.

    It is beside the socket for writes. Both sides compute it.
    """
    return str(Path(intake_socket).with_suffix(".alive"))


# --- what the write path uses -----------------------------------------------------------------


class BarrierEngine(Protocol):
    """The effect of writes on reads (``agent/engine``)."""

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Invalidate stored responses and hold reads. In force when this returns.

        ``stale``: host, or "" → URLs whose stored responses become unusable, under all host names
        of the service. ``pending``: key (``url:/a?b`` or ``client:10.0.0.1``) → whether its reads
        are held.
        """

    async def replace_barrier(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Hold exactly these reads, after a restart of the agent.

        ``pending``: service → keys. ``ended``: the writes that wait no longer; their pages become
        unusable. If an earlier agent held other reads, all stored responses do.
        """


class PageRefresher(Protocol):
    """Fetches pages again that a write has changed (``agent/warm``)."""

    def invalidated(self, service: str, url: str) -> None:
        """Fetch the pages of ``url`` again: no write to it is pending. Never waits."""


# --- what the agent's service uses ------------------------------------------------------------


class LearningWarmer(Warmer, PageRefresher, Protocol):
    """A warmer that learns from the access log and the services."""

    def set_services(self, services: Iterable[Service]) -> None:
        """The services in force."""

    def record_access(self, record: AccessRecord) -> None:
        """Learn from one access; never waits."""

    def close(self) -> None:
        """Close the connections to the cache."""
