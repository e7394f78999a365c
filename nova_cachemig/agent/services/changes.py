"""Which guests a change of the routes loses and finds. No I/O, no clock.

A guest is its instance, address and port, and the network port that has the address in Nova.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import resolve
from nova_cachemig.model.service import Route, Service


class DoubtError(ComponentError):
    """Nova has changed the instance, and has not confirmed the address since."""

    def __init__(self, instance: str) -> None:
        super().__init__(
            f"Nova has changed instance {instance}: nothing is sent to the guest until Nova "
            "confirms its address"
        )


class TargetWatcher(Protocol):
    """Learns which guests are lost and found (``agent/manager``)."""

    def targets_lost(self, routes: Sequence[Route]) -> None:
        """These guests are no longer at these addresses, or Nova has yet to confirm it."""

    async def prepare(self, routes: Sequence[Route]) -> None:
        """These guests are found; the edge passes requests to them when this returns."""

    def targets_found(self, routes: Sequence[Route]) -> None:
        """The edge knows these guests by now."""


def updated(service: Service, before: Route | None) -> Route:
    """Keep the known address unless the instance changed, or where its address comes from."""
    if before is None or before.target is None:
        return Route(service, None)
    old = before.service
    same = (old.instance, old.port, old.address, resolve.way(old)) == (
        service.instance,
        service.port,
        service.address,
        resolve.way(service),
    )
    return Route(service, before.target, before.mac) if same else Route(service, None)


def lost(before: Mapping[str, Route], now: Mapping[str, Route]) -> list[Route]:
    """Return the former routes of services whose guest is elsewhere now, or nowhere."""
    return [
        old
        for name, old in before.items()
        if old.target is not None and name in now and not _is_same(old, now[name])
    ]


def found(before: Mapping[str, Route], now: Mapping[str, Route]) -> list[Route]:
    """Return the routes to guests that were unknown, or elsewhere."""
    return [
        new
        for name, new in now.items()
        if new.target is not None and not (name in before and _is_same(before[name], new))
    ]


def is_other_port(before: Route, now: Route) -> bool:
    """Whether Nova says that the address is on another network port than before."""
    return bool(before.mac and now.mac) and before.mac != now.mac


def _is_same(one: Route, other: Route) -> bool:
    return (
        one.service.instance == other.service.instance
        and one.target == other.target
        and not is_other_port(one, other)
    )
