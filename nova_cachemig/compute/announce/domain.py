"""Reads the NICs of a guest from libvirt's description of its domain. No I/O, no libvirt."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

from nova_cachemig.compute.announce.frames import MAX_ADDRESSES, Address, Nic

MAX_NICS: Final = 32
"""NICs of one guest that are announced."""
_MAX_TEXT: Final = 1 << 20
_TAPS: Final = frozenset({"ethernet", "bridge", "network"})
"""Types of an interface that have a tap. The others have none that a frame could come from."""
_NOVA: Final = "{http://openstack.org/xmlns/libvirt/nova/1.1}"
_IFNAMSIZ: Final = 16


def nics(xml: str) -> tuple[Nic, ...]:
    """The NICs that have a tap. Raises ValueError if this is no description of a domain.

    Nova writes the addresses of each port into the description, from its release Victoria on. A tap
    has the beginning of its port's UUID in its name.
    """
    if len(xml) > _MAX_TEXT:
        raise ValueError(f"the description of the domain has {len(xml)} characters")
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as exc:
        raise ValueError(f"not a description of a domain: {exc}") from exc
    ports = list(root.iter(f"{_NOVA}port"))[:MAX_NICS]
    found = []
    for interface in root.findall("devices/interface")[:MAX_NICS]:
        tap = _attribute(interface, "target", "dev")
        if interface.get("type") not in _TAPS or not 0 < len(tap) < _IFNAMSIZ:
            continue
        mac = _attribute(interface, "mac", "address")
        with contextlib.suppress(ValueError):
            found.append(Nic(tap, bytes.fromhex(mac.replace(":", "")), _addresses(ports, tap)))
    return tuple(found)


def _addresses(ports: list[ElementTree.Element], tap: str) -> tuple[Address, ...]:
    start = tap.removeprefix("tap")
    own = [port for port in ports if len(start) > 8 and port.get("uuid", "").startswith(start)]
    return tuple(address for port in own[:1] for address in _valid(port))


def _valid(port: ElementTree.Element) -> Iterator[Address]:
    for element in port.findall(f"{_NOVA}ip")[:MAX_ADDRESSES]:
        with contextlib.suppress(ValueError):
            yield ipaddress.ip_address(element.get("address", ""))


def _attribute(parent: ElementTree.Element, child: str, name: str) -> str:
    element = parent.find(child)
    return "" if element is None else element.get(name, "")
