"""The form of services, pages and addresses in the engines' maps, headers and logs.

Text that a client or an operator chose is quoted or hashed here. The result is a single word, safe
in a map, a log line or a command on the admin socket.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import time
from urllib.parse import quote, unquote

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model import naming, paths
from nova_cachemig.model.service import SendProxy, Service, Target


def encode_service(name: str) -> str:
    """Return the service's name in the characters ``A-Z a-z 0-9 _ . ~ - %``."""
    encoded = quote(name, safe="")
    if not encoded or len(encoded) > 190:
        raise ComponentError(f"service name {name!r:.80} is empty or too long for the engine")
    return encoded


def decode_service(encoded: str) -> str:
    """Return the name that :func:`encode_service` encoded."""
    return unquote(encoded)


def _hash(*parts: str | bytes) -> str:
    # The output of HAProxy's converters "sha1,hex". A name, not a secret.
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return hashlib.sha1(b"|".join(raw), usedforsecurity=False).hexdigest().upper()


BUCKETS = 256
"""Entries that :func:`pending_bucket` can return for one service."""

MAX_EPOCHS = 1000
"""Paths of one service with a separate epoch in the map of epochs. HAProxy finds the entry to
edit by a linear search. Further paths share :data:`BUCKETS` entries, so a write to one of them also
invalidates others of the service."""


def pending_bucket(service: str, key: str) -> str:
    """Return the map key that many pending keys of the service share."""
    return f"{encode_service(service)}|{pending_key(service, key)[:2]}"


def pending_key(service: str, key: str) -> str:
    """Return the map key of a pending key ``url:/path?query`` or ``client:address``.

    That of a URL stands for its path in all spellings, with any query, under all host names. It is
    also the key of the path in the map of epochs.
    """
    kind, colon, value = key.partition(":")
    if kind not in {"url", "client"} or not colon or not value:
        raise ComponentError(f"a pending key is url:... or client:..., not {key!r:.80}")
    word = b"url:" + paths.canonical(value) if kind == "url" else key
    return _hash(encode_service(service), word)


def journal_key(service: str) -> str:
    """Return the key in the map of pending keys that is set while the service has any."""
    return _hash(encode_service(service), "journal")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return naming.ip_address(text)
    except ValueError as exc:
        raise ComponentError(str(exc)) from exc


def _port(port: int) -> int:
    if not naming.is_port(port):
        raise ComponentError(f"{port} is not a port")
    return port


@functools.lru_cache(maxsize=1 << 16)
def bind_address(listen: tuple[str, int]) -> str:
    """Return a front address in the form of HAProxy's ``bind``, which is also the bind's name."""
    address = _address(listen[0])
    text = f"[{address}]" if address.version == 6 else str(address)
    return f"{text}:{_port(listen[1])}"


_PROXIES = " # "


def with_proxies(bind: str, networks: str) -> str:
    """Add to the words of a bind the networks whose connections begin with the PROXY protocol."""
    return f"{bind}{_PROXIES}{networks}" if networks else bind


def proxies_of(bind: str) -> tuple[str, str]:
    """Return the words of a bind, and the networks that :func:`with_proxies` has added."""
    words, _, networks = bind.partition(_PROXIES)
    return words, networks


def target_value(
    target: Target, forwarded_for: bool | None = None, send_proxy: SendProxy | None = None
) -> str:
    """Return a guest's entry in the map of targets, ``ADDRESS|PORT|XFF|PROXY``.

    XFF: ``xff`` or ``no-xff``, whether the service's requests carry X-Forwarded-For; empty: as
    configured. PROXY: ``v1`` or ``v2`` of the PROXY protocol; empty: none. Empty ends are left out.
    """
    forwarded = {None: "", True: "xff", False: "no-xff"}[forwarded_for]
    fields = (str(_address(target.address)), str(_port(target.port)), forwarded, send_proxy or "")
    return "|".join(fields).rstrip("|")


def target_of(value: str) -> Target:
    """Return the guest that :func:`target_value` encoded."""
    address, port = value.split("|")[:2]
    return Target(address, int(port))


def route_keys(service: Service) -> list[str]:
    """Return the service's keys in the map of routes: the bind alone, or with each host name.

    A client also names the port, unless it is 80.
    """
    bind = bind_address(service.listen)
    if not service.hosts:
        return [bind]
    hosts = [host.lower() for host in service.hosts]
    for host in hosts:
        if not naming.is_host_name(host):
            raise ComponentError(f"service {service.name}: {host!r:.80} is not a host name")
    port = service.listen[1]
    ports = [""] if port == 80 else ["", f":{port}"]
    return [f"{host}{port}|{bind}" for host in hosts for port in ports]


def nameless_key(service: Service) -> str:
    """Return the key in the map of routes for requests to the service's bind without a host."""
    return f"|{bind_address(service.listen)}"


def new_token() -> str:
    """Return a word that was never used before, also across restarts.

    It names an epoch, or is part of a generation.
    """
    return f"{time.time_ns():x}"


def state_entry(mode: str, share: int, largest_page: int) -> str:
    """Return an entry of the map of states with a generation that finds no stored page.

    ``share``: of the cache; ``largest_page``: bytes of the largest page that it stores.
    """
    return f"{mode}:{new_token()}.{share}.{largest_page}"


def renewed(entry: str, mode: str | None = None) -> str:
    """Return the entry with another generation in the same share; None: in the same mode."""
    former, _, generation = entry.partition(":")
    _, _, share = generation.partition(".")
    return f"{mode or former}:{new_token()}.{share}"


def share_of(entry: str) -> int | None:
    """Return the share of the cache that an entry of the map of states names."""
    number = entry.partition(":")[2].split(".")[1:2]
    return int(number[0]) if number and number[0].isdigit() else None
