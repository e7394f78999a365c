"""The components that perform a handover's actions, and the timeouts they get."""

from __future__ import annotations

import dataclasses

from nova_cachemig.agent import ports


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, all of them."""

    warm: float  # how long warming may last
    ask_nova_after: float
    deadline: float
    poll_gap: float = 3.0  # a hook that polls for warm and then is silent this long gave up


@dataclasses.dataclass(frozen=True, slots=True)
class Components:
    """The agent's components, as the manager sees them."""

    engine: ports.Engine
    writes: ports.WritePath
    warmer: ports.Warmer
    prober: ports.Prober
    store: ports.HandoverStore
    nova: ports.Migrations
    timeouts: Timeouts
