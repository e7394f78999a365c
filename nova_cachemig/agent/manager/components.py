"""The components that perform a handover's actions, and the limits that they are given."""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

from nova_cachemig.agent import ports


class MigrationState(enum.StrEnum):
    """What Nova says of a migration when it is asked."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"  # error, cancelled, rolled back
    UNKNOWN = "unknown"  # none is known, or Nova does not answer


class NovaView(Protocol):
    """How a migration stands, from Nova's API."""

    async def migration_state(self, instance: str, since: float) -> MigrationState:
        """Of the newest live migration begun after ``since`` (UNIX seconds); never raises."""


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, all of them."""

    warm: float  # how long warming may last
    ask_nova_after: float
    deadline: float
    release: float = 0.5  # how long writes may be held at the edge while it is released
    poll_gap: float = 3.0  # a hook that polls for warm and then is silent this long gave up


@dataclasses.dataclass(frozen=True, slots=True)
class Components:
    """The agent's components, as the manager sees them."""

    engine: ports.Engine
    writes: ports.WritePath
    warmer: ports.Warmer
    prober: ports.Prober
    store: ports.HandoverStore
    nova: NovaView
    timeouts: Timeouts
