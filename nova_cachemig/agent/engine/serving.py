"""All maps that HAProxy needs to serve a set of routes. No I/O.

The cost is linear: with 20,000 services, each change of one of them computes all maps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from nova_cachemig.agent.engine import fronts, policies
from nova_cachemig.agent.engine.routing import routing
from nova_cachemig.model.service import Limits, Route


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """``served``: service → its route in the maps; ``refused``: service → why it is not served.

    ``maps``: name of a map → its entries, in the order in which HAProxy gets them. The map of
    routes is the last one, so a new service has all its settings from the first request on.
    """

    served: Mapping[str, Route]
    refused: Mapping[str, str]
    maps: Mapping[str, Mapping[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Defaults:
    """The settings of services that have none themselves."""

    trusted_proxies: Sequence[str]
    limits: Limits


def serving(
    routes: Sequence[Route],
    unusable: Mapping[str, str],
    before: Mapping[str, Route],
    failed: Mapping[str, str],
    defaults: Defaults,
) -> Serving:
    """Return the maps for these routes: see :func:`routing`."""
    found = routing(routes, unusable, before, failed)
    served = found.served
    maps = {
        "targets": found.targets,
        "cookies": found.cookies,
        "fronts": fronts.entries(served.values(), defaults.trusted_proxies, defaults.limits),
        "policies": policies.entries(found.policies),
        "routes": found.routes,
    }
    return Serving(served, found.refused, maps)
