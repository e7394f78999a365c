"""The address at which this node reaches a service's guest, and two guests that claim one. No I/O.

Two tenants may use the same fixed address in two networks. This node has one route to it, so a
request for one guest could reach the other. Such services are not served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from nova_cachemig.agent.ports import ComponentError, InstanceAddresses
from nova_cachemig.model import naming
from nova_cachemig.model.service import Route, Service


class EqualAddressError(ComponentError):
    """Two services of different instances would be served at one address."""


def way(service: Service) -> str:
    """Describe where the guest's address comes from: an address of another way is of no use."""
    if service.address is not None:
        return "service file"
    kind = "floating" if service.floating else "fixed"
    return kind if service.network is None else f"{kind} on {service.network}"


def address_in(service: Service, instance: InstanceAddresses) -> str:
    """Return the guest's address in Nova. Raises ComponentError."""
    if service.floating:
        address = instance.floating_address(service.network)
    else:
        address = instance.address(service.network)
    try:
        return str(naming.ip_address(address))
    except ValueError as exc:
        raise ComponentError(f"Nova's address of instance {service.instance}: {exc}") from exc


def contradicts(route: Route, instance: InstanceAddresses) -> bool:
    """Whether Nova says that the route's address, or its port, is no longer the instance's.

    An address that the operator has given is not Nova's to say.
    """
    if route.target is None or route.service.address is not None:
        return False
    if not instance.may_have(route.target.address):
        return True
    mac = instance.mac_of(route.target.address)
    return bool(mac and route.mac and mac != route.mac)


def equal_addresses(
    known: Iterable[Route], found: Mapping[str, Route], held: Callable[[Service], str | None]
) -> dict[str, EqualAddressError]:
    """Return the services of ``found`` that must not be served, each with the reason.

    ``known``: the routes that are served; they keep their addresses. ``held``: the address at which
    a service was served before, also by an earlier agent. Of two found services, the one that held
    the address keeps it. If neither did, or both, neither is served.
    """
    by_address: dict[str, list[Route]] = {}
    for route in (*known, *found.values()):
        if route.target is not None:
            by_address.setdefault(route.target.address, []).append(route)
    refused: dict[str, EqualAddressError] = {}
    for address, routes in by_address.items():
        for route in routes:
            name = route.service.name
            others = [other for other in routes if _collide(route, other)]
            if name not in found or not others:
                continue
            holds = held(route.service) == address and not any(
                other.service.name not in found or held(other.service) == address
                for other in others
            )
            if not holds:
                refused[name] = EqualAddressError(_sentence(route, others[0]))
    return refused


def _collide(one: Route, other: Route) -> bool:
    """Whether two routes with one address lead to two guests.

    At an address that the operator has given, different ports may lead to different guests.
    """
    if one.service.instance == other.service.instance:
        return False
    given = one.service.address is not None or other.service.address is not None
    return not given or one.target == other.target


def _sentence(route: Route, other: Route) -> str:
    assert route.target is not None, "without an address nothing collides"
    return (
        f"instance {route.service.instance} of service {route.service.name} has the address "
        f"{route.target.address}, as instance {other.service.instance} of service "
        f"{other.service.name} has, and this node reaches only one of them there: set "
        "'floating: true' or 'address: ADDRESS' in one of the two services"
    )
