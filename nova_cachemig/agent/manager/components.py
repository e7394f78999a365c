"""The components that perform a handover's actions, and the timeouts they get."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable

from nova_cachemig.agent import ports
from nova_cachemig.agent.manager.gate import ReleaseGate
from nova_cachemig.model.service import Route


@dataclasses.dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, all of them."""

    warm: float  # how long warming may last
    ask_nova_after: float
    deadline: float
    poll_gap: float = 3.0  # a hook that polls for warm and then is silent this long gave up


@dataclasses.dataclass(frozen=True, slots=True)
class Guests:
    """The guests' present addresses. By default each guest stays where it is at the begin.

    ``route_of``: name of a service → its present route; None if the operator has removed it.
    ``confirm`` asks Nova for the addresses of an instance; the task never raises.
    ``assume_reached``: an earlier agent has reached these guests.
    """

    route_of: Callable[[str], Route | None] = lambda _service: None
    confirm: Callable[[str], asyncio.Task[None] | None] = lambda _instance: None
    assume_reached: Callable[[Iterable[Route]], None] = lambda _routes: None

    def present(self, route: Route) -> Route:
        """Return the present route of the same service and instance; if there is none, ``route``.

        The handover of a removed service ends where it began.
        """
        now = self.route_of(route.service.name)
        if now is None or now.service.instance != route.service.instance:
            return route
        return dataclasses.replace(route, target=now.target, mac=now.mac)


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
    guests: Guests = Guests()
    releases: ReleaseGate = dataclasses.field(default_factory=ReleaseGate)
