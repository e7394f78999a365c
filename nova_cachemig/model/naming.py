"""The rules for names and addresses in a service: one place, for the schema and for the engine."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from nova_cachemig.model.headers import is_token

SERVICE_NAME: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
"""Regular expression of a service's name."""

MAX_COOKIE_NAME: Final = 64  # characters
MAX_HOST_NAME: Final = 253  # characters

_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def is_cookie_name(text: str) -> bool:
    """Whether ``text`` is a cookie's name: a token, RFC 6265 section 4.1.1."""
    return len(text) <= MAX_COOKIE_NAME and is_token(text)


def is_host_name(text: str) -> bool:
    """Whether ``text`` is a host name in lower case with A-labels, as in a Host header."""
    labels = text.split(".")
    return len(text) <= MAX_HOST_NAME and all(_LABEL.fullmatch(label) for label in labels)


def is_port(port: int) -> bool:
    """Whether ``port`` is a TCP port that something can listen on."""
    return 1 <= port <= 65535


def ip_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address; raises ValueError for another text or an address with a zone (%)."""
    if "%" in text:
        raise ValueError(f"{text!r:.80} has a zone (%)")
    try:
        return ipaddress.ip_address(text)
    except ValueError as exc:
        raise ValueError(f"{text!r:.80} is not an IP address") from exc


def network(text: str) -> str:
    """Return an IP network, or an address as one, in its canonical form. Raises ValueError."""
    ip_address(text.partition("/")[0])
    try:
        found = ipaddress.ip_network(text)
    except ValueError as exc:
        raise ValueError(f"{text!r:.80} is not a network: {exc}") from exc
    return str(found)


def guest_address(text: str) -> str:
    """Return a guest's address in its canonical form.

    Raises ValueError for another text, and for an address that no guest can have: this node would
    connect to itself, to its own link, or to no host at all.
    """
    address = ip_address(text)
    if address.version == 6 and address.ipv4_mapped is not None:
        raise ValueError(f"{text} is an IPv4 address: write {address.ipv4_mapped}")
    kinds = {
        "loopback": address.is_loopback,
        "multicast": address.is_multicast,
        "unspecified": address in _THIS_NETWORK if address.version == 4 else address.is_unspecified,
        "link-local": address.is_link_local,
        "reserved": address.version == 4 and address.is_reserved,
    }
    for kind, found in kinds.items():
        if found:
            raise ValueError(f"{text} is {kind}: an address that no guest can have")
    return str(address)
