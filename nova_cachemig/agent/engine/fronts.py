"""The settings of front addresses, in the form in which the edge's map has them.

An entry has fields with ``|`` between them. The first one: the networks of trusted proxies, with
``+`` between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nova_cachemig.agent.engine import names
from nova_cachemig.model.service import Route


def entries(routes: Iterable[Route], trusted_proxies: Sequence[str]) -> dict[str, str]:
    """Return the map's entries; a service without settings has none.

    ``trusted_proxies``: of services that name none themselves.
    """
    found = {}
    for route in routes:
        own = route.service.trusted_proxies
        if networks := trusted_proxies if own is None else own:
            found[names.encode_service(route.service.name)] = "+".join(networks)
    return found
