"""The maps of routes, targets and cookies, and the binds, that a set of routes needs. No I/O."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Route


@dataclasses.dataclass(frozen=True, slots=True)
class Routing:
    """HAProxy's binds and maps for a set of routes."""

    binds: frozenset[str]
    routes: dict[str, str]
    targets: dict[str, str]
    cookies: dict[str, str]


def routing(routes: Sequence[Route]) -> Routing:
    """Return the binds and maps. Raises ComponentError if two services conflict."""
    keys: dict[str, str] = {}
    targets: dict[str, str] = {}
    cookies: dict[str, str] = {}
    duplicates = [n for n, c in Counter(route.service.name for route in routes).items() if c > 1]
    if duplicates:
        raise ComponentError(f"service {duplicates[0]} is defined twice")
    for route in routes:
        service = route.service
        encoded = names.encode_service(service.name)
        for key in names.route_keys(service):
            if key in keys:
                other = names.decode_service(keys[key])
                raise ComponentError(f"services {other} and {service.name} both claim {key}")
            keys[key] = encoded
        if route.target is not None:
            targets[encoded] = names.target_value(route.target)
        if service.client_cookie is not None:
            cookies[encoded] = _cookie(service.name, service.client_cookie)
    _check_shared_binds(keys)
    binds = frozenset(names.bind_address(route.service.listen) for route in routes)
    return Routing(binds, keys, targets, cookies)


def _check_shared_binds(keys: dict[str, str]) -> None:
    shared = {key.partition("|")[0] for key in keys if "|" in key}
    for key in shared & keys.keys():
        owner = names.decode_service(keys[key])
        raise ComponentError(f"service {owner} has no host names but shares {key} with others")


def _cookie(service: str, cookie: str) -> str:
    if not cookie or not all(c.isalnum() or c in "_.~%-" for c in cookie):
        raise ComponentError(f"service {service}: {cookie!r:.80} is not a cookie's name")
    return cookie
