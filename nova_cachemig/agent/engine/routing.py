"""The maps of routes, targets and cookies, and the binds, that a set of routes needs. No I/O.

A service that HAProxy cannot take is refused alone: the others are served.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.naming import is_cookie_name
from nova_cachemig.model.policy import Policy
from nova_cachemig.model.service import Route, Service


@dataclasses.dataclass(slots=True)
class Routing:
    """HAProxy's binds and maps for a set of routes.

    ``served``: service → its route in the maps; ``refused``: service → why it is not served.
    ``first``: bind → the first service on it; the others share its settings of the bind.
    """

    binds: set[str] = dataclasses.field(default_factory=set)
    routes: dict[str, str] = dataclasses.field(default_factory=dict)
    targets: dict[str, str] = dataclasses.field(default_factory=dict)
    cookies: dict[str, str] = dataclasses.field(default_factory=dict)
    policies: dict[str, Policy] = dataclasses.field(default_factory=dict)
    served: dict[str, Route] = dataclasses.field(default_factory=dict)
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    first: dict[str, Service] = dataclasses.field(default_factory=dict)


def binds_of(routes: Sequence[Route]) -> set[str]:
    """Return the binds that the routes ask for, without malformed ones."""
    binds = set()
    for route in routes:
        with contextlib.suppress(ComponentError):  # routing() refuses its service
            binds.add(names.bind_address(route.service.listen))
    return binds


def routing(
    routes: Sequence[Route],
    unusable: Mapping[str, str] | None = None,
    before: Mapping[str, Route] | None = None,
    failed: Mapping[str, str] | None = None,
) -> Routing:
    """Return the binds and maps. Of two services that conflict, the first is served.

    ``unusable``: bind → why HAProxy cannot listen there. ``before``: service → the route that it
    has now; a service whose new entry is refused keeps it while it serves the same instance.
    ``failed``: service → why it cannot be served.
    """
    found = Routing()
    for route in routes:
        try:
            if route.service.name in (failed or {}):
                raise ComponentError((failed or {})[route.service.name])
            _add(found, route, unusable or {})
        except ComponentError as exc:
            found.refused[route.service.name] = str(exc)
    for route in routes:
        name = route.service.name
        old = (before or {}).get(name)
        if name in found.served or old is None or old.service.instance != route.service.instance:
            continue
        with contextlib.suppress(ComponentError):  # another service has taken its place
            _add(found, old, unusable or {})
    _add_nameless(found)
    return found


def _add_nameless(found: Routing) -> None:
    """Let a service that owns its address alone take requests without a host (HTTP/1.0)."""
    services: dict[str, list[Service]] = {}
    for route in found.served.values():
        services.setdefault(names.bind_address(route.service.listen), []).append(route.service)
    for sharing in services.values():
        if len(sharing) == 1 and sharing[0].hosts:
            found.routes[names.nameless_key(sharing[0])] = names.encode_service(sharing[0].name)


def _add(found: Routing, route: Route, unusable: Mapping[str, str]) -> None:
    """Add all of the route or, if ComponentError is raised, nothing."""
    service = route.service
    if service.name in found.served:
        raise ComponentError(f"service {service.name} is defined twice")
    encoded = names.encode_service(service.name)
    keys = names.route_keys(service)
    bind = names.bind_address(service.listen)
    target = None
    if route.target is not None:
        target = names.target_value(route.target, service.forwarded_for, service.send_proxy)
    cookie = service.client_cookie
    if cookie is not None and not is_cookie_name(cookie):
        raise ComponentError(f"service {service.name}: {cookie!r:.80} is not a cookie's name")
    if bind in unusable:
        raise ComponentError(f"service {service.name}: {unusable[bind]}")
    _check_conflicts(found, service, keys, bind)
    found.binds.add(bind)
    found.first.setdefault(bind, service)
    found.routes |= dict.fromkeys(keys, encoded)
    if target is not None:
        found.targets[encoded] = target
    if cookie is not None:
        found.cookies[encoded] = cookie
    found.policies[encoded] = service.policy
    found.served[service.name] = route


def _check_conflicts(found: Routing, service: Service, keys: list[str], bind: str) -> None:
    for key in keys:
        if key in found.routes:
            owner = names.decode_service(found.routes[key])
            raise ComponentError(f"services {owner} and {service.name} both claim {key}")
    other = found.first.get(bind)
    if other is not None and bool(other.tls) != bool(service.tls):
        both = f"services {other.name} and {service.name}"
        raise ComponentError(f"{both} share {bind}: either both have tls, or none")
    if other is not None and other.accept_proxy != service.accept_proxy:
        both = f"services {other.name} and {service.name}"
        raise ComponentError(f"{both} share {bind}: either both have accept_proxy, or none")
    if bind in found.binds and (bind in found.routes or not service.hosts):
        without = service.name if not service.hosts else names.decode_service(found.routes[bind])
        raise ComponentError(f"service {without} has no host names but shares {bind} with others")
