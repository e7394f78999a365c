"""Sends frames into the network as if a guest had sent them through its tap.

A frame that a host writes to a tap goes to the guest, not into the network. Therefore each tap gets
a pair of veth devices for the time of a migration. The kernel redirects the frames that leave the
first one to the *ingress* of the tap. A bridge, or Open vSwitch, receives them as the guest's own,
and learns the MAC address at the right port. Only announcements of this MAC address match, so that
no other program that uses the device can send anything as the guest.

The devices, ``cma…`` and ``cmp…``, are named after the tap. This needs ``CAP_NET_ADMIN`` for the
devices and ``CAP_NET_RAW`` for the socket.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nova_cachemig.compute.announce.frames import (
    ETH_ARP,
    ETH_IPV6,
    ETH_RARP,
    TARGET_MAC,
    Nic,
    frames,
)

_DEVICE: Final = "cma"
_PEER: Final = "cmp"
_OURS: Final = re.compile(r"cma[^/]{1,11}")
_EGRESS: Final = 0xFFFFFFF3  # the hook of the clsact queueing discipline
_NO_IPV6_ADDRESS: Final = 1  # IN6_ADDR_GEN_MODE_NONE
_ARP_SENDER: Final = 8
"""Bytes before the sender's MAC address in ARP and RARP."""
_NDP_OPTION: Final = 64
"""Bytes before the option with the target's MAC address in an advertisement."""
_CAPABILITIES: Final = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}


def missing_capabilities(status: Path = Path("/proc/self/status")) -> list[str]:
    """Return the capabilities that this process needs and lacks."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    effective = int(found[1], 16) if found else 0
    return [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]


def remove_remains() -> None:
    """Remove the devices of a process that was killed."""
    with IPRoute() as netlink:
        for link in netlink.get_links():
            if _OURS.fullmatch(link.get_attr("IFLA_IFNAME") or ""):
                _remove(netlink, link["index"])


class TapPort:
    """The way into the network through the tap of one NIC. Close it after the migration."""

    def __init__(self, nic: Nic) -> None:
        self._frames = frames(nic)
        self._socket: socket.socket | None = None
        self._index: int | None = None
        self.tap = nic.tap
        try:
            self._open(nic)
        except BaseException:
            self.close()
            raise

    def send(self) -> int:
        """Send all frames without waiting; return their number. Raises OSError."""
        if self._socket is None:
            return 0
        for frame in self._frames:
            self._socket.send(frame, socket.MSG_DONTWAIT)
        return len(self._frames)

    def close(self) -> None:
        """Remove the devices. Raises nothing if they are gone."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._index is not None:
            with IPRoute() as netlink:
                _remove(netlink, self._index)
            self._index = None

    def _open(self, nic: Nic) -> None:
        name, peer = _DEVICE + nic.tap[-11:], _PEER + nic.tap[-11:]
        with IPRoute() as netlink:
            tap = _index(netlink, nic.tap)
            if tap is None:
                raise OSError(errno.ENODEV, f"there is no device {nic.tap}")
            if (old := _index(netlink, name)) is not None:
                _remove(netlink, old)
            netlink.link("add", ifname=name, kind="veth", peer={"ifname": peer})
            device = self._index = netlink.link_lookup(ifname=name)[0]
            netlink.tc("add", "clsact", device)
            for priority, (kind, keys) in enumerate(_matches(nic.mac), 1):
                _redirect(netlink, device, tap, priority, kind, keys)
            for index in (netlink.link_lookup(ifname=peer)[0], device):
                _set_up(netlink, index)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # 0: receives nothing
        self._socket.bind((name, 0))


def _matches(mac: bytes) -> list[tuple[int, list[str]]]:
    """Return the kinds of frame that may pass, and where each has this MAC address.

    In words of 32 bits, as the classifier compares: "0xVALUE/0xMASK+BYTES".
    """
    arp = _words(_ARP_SENDER, mac)
    return [(ETH_RARP, arp), (ETH_ARP, arp), (ETH_IPV6, _words(_NDP_OPTION, TARGET_MAC + mac))]


def _words(offset: int, wanted: bytes) -> list[str]:
    """``offset`` is a multiple of 4; ``wanted`` has up to 8 bytes."""
    parts = (wanted.ljust(8, b"\0"), (b"\xff" * len(wanted)).ljust(8, b"\0"))
    pairs = zip(*(struct.unpack("!2I", part) for part in parts), strict=True)
    return [f"{v:#010x}/{m:#010x}+{offset + 4 * i}" for i, (v, m) in enumerate(pairs)]


def _redirect(
    netlink: IPRoute, device: int, tap: int, priority: int, kind: int, keys: Sequence[str]
) -> None:
    netlink.tc(
        "add-filter",
        "u32",
        device,
        parent=_EGRESS,
        prio=priority,
        protocol=kind,
        target=0x10020,
        keys=list(keys),
        action={
            "kind": "mirred",
            "direction": "ingress",
            "action": "redirect",
            "ifindex": tap,
        },
    )


def _set_up(netlink: IPRoute, index: int) -> None:
    """Without an address, so that the kernel sends nothing on the device."""
    mode = {"attrs": [["IFLA_INET6_ADDR_GEN_MODE", _NO_IPV6_ADDRESS]]}
    family: dict[str, Any] = {"attrs": [["AF_INET6", mode]]}
    netlink.link("set", index=index, state="up", IFLA_AF_SPEC=family)


def _index(netlink: IPRoute, name: str) -> int | None:
    found = netlink.link_lookup(ifname=name)
    return found[0] if found else None


def _remove(netlink: IPRoute, index: int) -> None:
    try:
        netlink.link("del", index=index)
    except NetlinkError as exc:
        if exc.code != errno.ENODEV:
            raise
