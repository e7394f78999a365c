"""How services, pages and addresses are written in the engines' maps, headers and logs.

Whatever a client or an operator chose is quoted or hashed here, so that it cannot be more than a
word in a map, a line of the log or a command on the admin socket.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from urllib.parse import quote, unquote

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Service, Target

NOT_YET = "-"


def of_service(name: str) -> str:
    """The name in maps, headers and logs: of ``A-Z a-z 0-9 _ . ~ - %`` only."""
    word = quote(name, safe="")
    if not word or len(word) > 190:
        raise ComponentError(f"service name {name!r:.80} is empty or too long for the engine")
    return word


def to_service(word: str) -> str:
    """The inverse of :func:`of_service`."""
    return unquote(word)


def _hashed(*parts: str) -> str:
    # As HAProxy's converters "sha1,hex" print it. It names; nothing is secret here.
    return hashlib.sha1("|".join(parts).encode(), usedforsecurity=False).hexdigest().upper()


def of_page(service: str, host: str, url: str) -> str:
    """Key in the map of epochs."""
    return _hashed(of_service(service), host.lower(), url)


def of_pending(service: str, key: str) -> str:
    """Key in the map of pending keys: ``url:/path?query`` or ``client:address``."""
    kind, colon, rest = key.partition(":")
    if kind not in {"url", "client"} or not colon or not rest:
        raise ComponentError(f"a pending key is url:... or client:..., not {key!r:.80}")
    return _hashed(of_service(service), key)


def of_journal(service: str) -> str:
    """Key in the map of pending keys that says that any is set for the service."""
    return _hashed(of_service(service), "journal")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as exc:
        raise ComponentError(f"{text!r:.80} is not an IP address") from exc


def _port(port: int) -> int:
    if not 1 <= port <= 65535:
        raise ComponentError(f"{port} is not a port")
    return port


def of_listen(listen: tuple[str, int]) -> str:
    """A front address as HAProxy's ``bind`` takes it, which is also the bind's name."""
    address = _address(listen[0])
    text = f"[{address}]" if address.version == 6 else str(address)
    return f"{text}:{_port(listen[1])}"


def of_target(target: Target) -> str:
    """A guest's address in the map of targets."""
    return f"{_address(target.address)}|{_port(target.port)}"


def of_routes(service: Service) -> list[str]:
    """Keys in the map of routes: the front address, or that with each host name."""
    listen = of_listen(service.listen)
    if not service.hosts:
        return [listen]
    for host in service.hosts:
        if not host or any(c.isspace() or c in "|,;\\" for c in host):
            raise ComponentError(f"service {service.name}: {host!r:.80} is not a host name")
    return [f"{listen}|{host.lower()}" for host in service.hosts]


def new_mark() -> str:
    """A word that was never used before: for generations and epochs, also across restarts."""
    return f"{time.time_ns():x}"
