"""Components that do nothing, correctly: the no-op twin of each of the agent's components.

Each twin keeps the promises of its ports. It never fails, waits only where the port waits until it
is cancelled, and reports that nothing happened. ``[warm] driver = none``
chooses :class:`NoWarmer`; the others let a test run one real component alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from nova_cachemig.agent import ports
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.effects import EndedWrite
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.reads import ReadCounts
from nova_cachemig.model.service import Service, Target


async def _until_cancelled() -> None:
    await asyncio.get_running_loop().create_future()


class NoEngine:
    """An edge without clients."""

    async def set_state(self, service: str, state: EdgeState) -> None:
        """Accept any state."""

    async def resend_lost(self, service: str) -> None:
        """No request is ever lost."""

    async def overtaken(self, service: str) -> int:
        """No write is in flight."""
        return 0

    async def holding(self, service: str) -> int:
        """No request is ever held."""
        return 0

    async def counts(self, service: str) -> ports.EdgeCounts:
        """Return zeros."""
        return ports.EdgeCounts()

    def read_counts(self, service: str) -> ReadCounts:
        """Return an empty one."""
        return ReadCounts()

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Do nothing: the edge stores no response and has no reads."""

    async def replace_barrier(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Do nothing, for the same reason."""


class NoWrites:
    """A write path without writes."""

    async def open(self, service: Service) -> None:
        """Accept nothing: no write arrives."""

    async def send_to(self, service: str, target: Target) -> None:
        """No write waits."""

    async def hold(self, service: str) -> None:
        """No write would be sent."""

    async def caught_up(self, service: str) -> None:
        """Return immediately."""

    async def seal(self, service: str, patience: float) -> None:
        """Return immediately."""

    async def give_up(self, service: str) -> None:
        """No write is in flight."""

    async def unseal(self, service: str) -> None:
        """No write arrives."""

    async def close(self, service: str) -> None:
        """Always succeed."""

    async def unfinished(self) -> dict[str, int]:
        """Return an empty result."""
        return {}

    async def counts(self, service: str) -> ports.WriteCounts:
        """Return zeros."""
        return ports.WriteCounts()


class NoWarmer:
    """A warmer that fetches nothing: the cache fills with the users' own requests."""

    async def warm(self, service: str, *, deadline: float) -> ports.WarmCounts:
        """Return immediately: a migration never waits."""
        return ports.WarmCounts()

    def warm_counts(self, service: str) -> ports.WarmCounts:
        """Return zeros."""
        return ports.WarmCounts()

    def verdict(self, service: str, host: str, url: str) -> str:
        """Nothing was found out."""
        return ""

    async def keep_warm(self, service: str) -> None:
        """Wait until cancelled."""
        await _until_cancelled()

    def invalidated(self, service: str, url: str) -> None:
        """The page is not fetched again."""

    def set_services(self, services: Iterable[Service]) -> None:
        """No service is warmed."""

    def record_access(self, record: AccessRecord) -> None:
        """Nothing is learned."""

    def close(self) -> None:
        """Do nothing."""


class NoProber:
    """Sees every guest as reachable: only the hypervisor's events show a pause."""

    async def wait_reachable(self, target: Target, *, interval: float) -> None:
        """Return immediately."""

    async def wait_silent(self, target: Target, *, interval: float) -> None:
        """Wait until cancelled."""
        await _until_cancelled()

    def expect(self, target: Target) -> None:
        """Do nothing."""


class NoTester:
    """Reaches every guest: all services are protected."""

    async def try_guest(self, target: Target, *, timeout: float) -> Attempt:
        """Succeed immediately."""
        return Attempt(Reach.REACHABLE)


class NoHandoverStore:
    """A store that keeps nothing: after a restart, the agent has no handovers."""

    async def save(self, record: HandoverRecord, *, replaces: HandoverId | None = None) -> None:
        """Drop the record."""

    async def unfinished(self) -> list[HandoverRecord]:
        """Return an empty result."""
        return []

    async def newest(self, limit: int) -> list[HandoverRecord]:
        """Return an empty result."""
        return []


class NoNova:
    """A Nova that is never reachable."""

    async def migration_state(self, instance: str, lasts: float) -> ports.MigrationState:
        """UNKNOWN: the manager waits for the hook's and the hypervisor's events."""
        return ports.MigrationState.UNKNOWN

    async def instance(self, uuid: str) -> ports.InstanceAddresses:
        """Raise NovaUnreachableError."""
        raise ports.NovaUnreachableError("this agent has no access to Nova")

    async def page(
        self, after: str | None
    ) -> tuple[Mapping[str, ports.InstanceAddresses], str | None]:
        """Raise NovaUnreachableError."""
        raise ports.NovaUnreachableError("this agent has no access to Nova")

    def keep(self, instances: Collection[str]) -> None:
        """Nothing was shown."""


if TYPE_CHECKING:  # each twin satisfies its ports
    _ENGINE: ports.Engine = NoEngine()
    _BARRIER: ports.BarrierEngine = NoEngine()
    _WRITES: ports.WritePath = NoWrites()
    _WARMER: ports.LearningWarmer = NoWarmer()
    _PROBER: ports.Prober = NoProber()
    _TESTER: ports.ConnectionTester = NoTester()
    _STORE: ports.HandoverStore = NoHandoverStore()
    _READER: ports.HandoverReader = NoHandoverStore()
    _MIGRATIONS: ports.Migrations = NoNova()
    _INSTANCES: ports.Instances = NoNova()
