"""The settings of front addresses and services, in the form in which the edge's map has them.

An entry has fields with ``|`` between them. That of a service has the networks of trusted proxies,
with ``+`` between them. The limits of requests, held requests and requests per second follow. That
of a front address has the limit of connections, and ``shared`` if several services share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nova_cachemig.agent.engine import names
from nova_cachemig.model.service import Limits, Route


def entries(
    routes: Iterable[Route], trusted_proxies: Sequence[str], defaults: Limits
) -> dict[str, str]:
    """Return the map's entries; a service without settings has none.

    ``trusted_proxies`` and ``defaults``: of services that have none themselves.
    """
    found: dict[str, str] = {}
    connections: dict[str, list[int]] = {}
    known: dict[Limits, Limits] = {}
    for route in routes:
        service = route.service
        own = service.trusted_proxies
        networks = "+".join(trusted_proxies if own is None else own)
        limits = known.get(service.limits)
        if limits is None:
            limits = known[service.limits] = service.limits.over(defaults)
        bind = names.bind_address(service.listen)
        connections.setdefault(bind, []).append(limits.connections or 0)
        numbers = f"{limits.requests or 0}|{limits.held or 0}|{limits.rate or 0}"
        if networks or numbers != "0|0|0":
            found[names.encode_service(service.name)] = f"{networks}|{numbers}"
    return found | _addresses(connections)


def expected(routes: Iterable[Route], trusted_proxies: Sequence[str]) -> dict[tuple[str, int], str]:
    """Return the networks, with blanks between them, that begin connections with PROXY.

    By front address. Only a trusted proxy may say whose connection it is.
    """
    found: dict[tuple[str, int], set[str]] = {}
    for route in routes:
        service = route.service
        own = service.trusted_proxies
        if service.accept_proxy and (networks := trusted_proxies if own is None else own):
            found.setdefault(service.listen, set()).update(networks)
    return {listen: " ".join(sorted(networks)) for listen, networks in found.items()}


def _addresses(connections: dict[str, list[int]]) -> dict[str, str]:
    found = {}
    for bind, numbers in connections.items():
        most = sum(numbers) if all(numbers) else 0
        if most or len(numbers) > 1:
            found[bind] = f"{most}|{'shared' if len(numbers) > 1 else ''}"
    return found
