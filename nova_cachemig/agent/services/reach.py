"""Which guests the agent has reached since it knows them. No I/O, no clock.

A guest that was reached and does not respond now is paused or down. A guest that was never reached
may be behind a security group or without a route: its silence says nothing about a migration. So
only reached guests are protected. The requests of the others pass through.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from nova_cachemig.model.reach import Attempt, Reach, address_and_port, problem, remedy
from nova_cachemig.model.service import Route, Target

_Guest = tuple[str, Target]
"""Instance and target: a guest that moves to another address is another one."""


class Change(enum.Enum):
    """The change that an attempt makes."""

    NONE = enum.auto()
    UNREACHABLE = enum.auto()  # it was tried for the first time, in vain
    REACHED = enum.auto()  # for the first time


class ReachTable:
    """The result of the last attempt for each guest; None: reached, by an earlier agent."""

    def __init__(self) -> None:
        self._attempts: dict[_Guest, Attempt | None] = {}

    def keep(self, routes: Iterable[Route]) -> None:
        """Forget the guests of all other routes."""
        kept = {_guest(route) for route in routes}
        self._attempts = {g: a for g, a in self._attempts.items() if g in kept}

    def assume_reached(self, routes: Iterable[Route]) -> None:
        """An earlier agent has reached these guests: it began their handovers."""
        self._attempts |= {g: None for route in routes if (g := _guest(route)) is not None}

    def forget(self, route: Route) -> None:
        """The address is on another network port: whether the guest is reached is unknown."""
        if (guest := _guest(route)) is not None:
            self._attempts.pop(guest, None)

    def to_try(self, routes: Iterable[Route]) -> list[Route]:
        """Return the routes whose guest was not reached yet, one for each guest."""
        found = {
            guest: route
            for route in routes
            if (guest := _guest(route)) is not None and not self.reached(route)
        }
        return list(found.values())

    def record(self, route: Route, attempt: Attempt) -> Change:
        """Take the result of an attempt."""
        guest = _guest(route)
        if guest is None or (attempt.reach is Reach.OTHER and guest in self._attempts):
            return Change.NONE
        known = guest in self._attempts
        reached = self.reached(route)
        self._attempts[guest] = attempt
        if attempt.reached:
            return Change.REACHED if known and not reached else Change.NONE
        return Change.NONE if known else Change.UNREACHABLE

    def reached(self, route: Route) -> bool:
        """Whether the guest was ever reached."""
        guest = _guest(route)
        if guest not in self._attempts:
            return False
        attempt = self._attempts[guest]
        return attempt is None or attempt.reached

    def unreachable(self, route: Route) -> str | None:
        """Say why the guest was never reached, and what to do; None if it was, or was not tried."""
        guest = _guest(route)
        attempt = None if guest is None else self._attempts.get(guest)
        if guest is None or attempt is None or attempt.reached:
            return None
        target = guest[1]
        return (
            f"the agent has never reached the guest at {address_and_port(target)}: "
            f"{problem(attempt)}. Its migrations are not protected. Remedy: "
            f"{remedy(target, attempt)}"
        )

    def describe(self, route: Route) -> str:
        """Return ``yes``, ``no`` or ``unknown``: whether the guest was reached."""
        if self.reached(route):
            return "yes"
        return "unknown" if self.unreachable(route) is None else "no"


def _guest(route: Route) -> _Guest | None:
    return None if route.target is None else (route.service.instance, route.target)
