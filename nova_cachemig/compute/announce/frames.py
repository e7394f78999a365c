"""The frames that announce a guest. No I/O, no clock.

Each has the guest's MAC address as its source, so that every switch that it passes learns where
the guest is. QEMU itself sends a RARP request after a migration, and OVN waits for one with
``activation-strategy=rarp``. The others are for networks that watch ARP or neighbour discovery.

No frame is made for a link-local address. An advertisement has to say whether the sender is a
router, which is unknown here. Neighbours know routers by their link-local addresses, so no
neighbour drops a guest that is its router.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import struct
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_ADDRESSES: Final = 32
"""Addresses of one NIC that are announced; the tenant chooses how many there are."""
ETH_ARP: Final = 0x0806
ETH_RARP: Final = 0x8035
ETH_IPV6: Final = 0x86DD

_SHORTEST: Final = 60  # bytes of a frame, without its checksum
_BROADCAST: Final = b"\xff" * 6
_ALL_NODES: Final = ipaddress.IPv6Address("ff02::1")
_ALL_NODES_MAC: Final = b"\x33\x33\x00\x00\x00\x01"
_ARP_REQUEST: Final = 1
_RARP_REQUEST: Final = 3
_ICMPV6: Final = 58
_ADVERTISEMENT: Final = 136
_OVERRIDE: Final = 0x20000000
TARGET_MAC: Final = b"\x02\x01"  # the option's type, and its length in units of 8 bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Nic:
    """A NIC of a guest: the tap behind it, its MAC address, and its IP addresses if known."""

    tap: str
    mac: bytes
    addresses: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        if len(self.mac) != 6 or self.mac[0] & 1:
            raise ValueError(f"not the MAC address of a NIC: {self.mac.hex(':')}")


def frames(nic: Nic) -> tuple[bytes, ...]:
    """The frames that announce a NIC. The first one is enough for switches."""
    found = [_rarp(nic.mac)]
    for address in nic.addresses[:MAX_ADDRESSES]:
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            continue
        if isinstance(address, ipaddress.IPv4Address):
            found.append(_gratuitous_arp(nic.mac, address))
        else:
            found.append(_advertisement(nic.mac, address))
    return tuple(found)


def _rarp(mac: bytes) -> bytes:
    nobody = bytes(4)
    return _ethernet(_BROADCAST, mac, ETH_RARP, _arp(_RARP_REQUEST, mac, nobody, mac, nobody))


def _gratuitous_arp(mac: bytes, address: ipaddress.IPv4Address) -> bytes:
    own = address.packed
    return _ethernet(_BROADCAST, mac, ETH_ARP, _arp(_ARP_REQUEST, mac, own, bytes(6), own))


def _arp(operation: int, *fields: bytes) -> bytes:
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + b"".join(fields)


def _advertisement(mac: bytes, address: ipaddress.IPv6Address) -> bytes:
    """An unsolicited neighbour advertisement (RFC 4861, section 4.4)."""
    body = struct.pack("!I", _OVERRIDE) + address.packed + TARGET_MAC + mac
    unsigned = struct.pack("!BBH", _ADVERTISEMENT, 0, 0) + body
    between = address.packed + _ALL_NODES.packed
    pseudo = between + struct.pack("!II", len(unsigned), _ICMPV6)
    message = struct.pack("!BBH", _ADVERTISEMENT, 0, checksum(pseudo + unsigned)) + body
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + between
    return _ethernet(_ALL_NODES_MAC, mac, ETH_IPV6, header + message)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ethernet(destination: bytes, source: bytes, kind: int, payload: bytes) -> bytes:
    return (destination + source + struct.pack("!H", kind) + payload).ljust(_SHORTEST, b"\0")
