"""A host in a separate network namespace: a bridge with a guest's tap and a port to the network.

Run under ``unshare --net``. Prints what it has seen, as JSON, to standard output.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from nova_cachemig.compute.announce import tap
from nova_cachemig.compute.announce.frames import Nic

MAC = bytes.fromhex("fa163e0a0b0c")
OTHER = bytes.fromhex("fa163e0a0b0d")
ADDRESSES = (ipaddress.ip_address("192.0.2.7"), ipaddress.ip_address("2001:db8::7"))
NIC = Nic("tap0a1b2c3d-4e", MAC, ADDRESSES)
LIMIT = 5.0
_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x1002
_ALL = 3
_EXPERIMENT = b"\x88\xb5"  # a kind of frame without a meaning

COMMANDS = """
ip link add br0 type bridge ageing_time 30000
ip link add uplink type veth peer name network
ip link set uplink master br0 up
ip link set network up
ip link set br0 up
"""


def run(command: str) -> str:
    """Return the standard output."""
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


def await_that(condition: Callable[[], bool]) -> None:
    """Wait for it; raises TimeoutError."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def open_tap(name: str) -> int:
    """Open a tap as QEMU does, and attach it to the bridge as Nova's plug-in does."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    run(f"ip link set {name} master br0 up")
    await_that(
        lambda: f"{name}: " in run("bridge link show") and "forwarding" in run("bridge link")
    )
    return descriptor


def port_of(mac: bytes) -> str:
    """Return the bridge's port behind which it has learnt an address."""
    lines = (line.split() for line in run("bridge fdb show br br0").splitlines())
    return next((line[2] for line in lines if line[0] == mac.hex(":")), "")


def packet_socket(device: str) -> socket.socket:
    """Open a socket for all frames of a device."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    opened.bind((device, 0))
    opened.setblocking(False)
    return opened


def from_guest(network: socket.socket, *macs: bytes) -> list[str]:
    """Return the frames with one of these sources that have come out of the host."""
    found = []
    while True:
        try:
            frame, address = network.recvfrom(2048)
        except BlockingIOError:
            return found
        if frame[6:12] in macs and address[2] != socket.PACKET_OUTGOING:
            found.append(frame.hex())


def has_arrived(descriptor: int, payload: bytes) -> bool:
    """Whether the guest's NIC gets a frame with this payload; discards the others."""
    while True:
        try:
            if payload in os.read(descriptor, 2048):
                return True
        except BlockingIOError:
            return False


def main() -> None:
    """Let a guest arrive; report what the bridge, the network and the guest have seen."""
    for command in filter(None, COMMANDS.splitlines()):
        run(command)
    guest = open_tap(NIC.tap)
    network = packet_socket("network")
    await_that(lambda: _learnt_elsewhere(network))
    seen: dict[str, object] = {"before": port_of(MAC)}
    started = time.perf_counter()
    port = tap.TapPort(NIC)
    seen["opening"] = time.perf_counter() - started
    from_guest(network, MAC)
    started = time.perf_counter()
    seen["sent"] = port.send()
    seen["sending"] = time.perf_counter() - started
    await_that(lambda: port_of(MAC) == NIC.tap)
    seen["after"] = port_of(MAC)
    seen["frames"] = from_guest(network, MAC)
    network.send(MAC + OTHER + _EXPERIMENT + b"for the guest".ljust(46, b"\0"))
    await_that(lambda: has_arrived(guest, b"for the guest"))
    seen["forbidden"] = _forbidden(network)
    tap.TapPort(NIC)  # as a later migration does after a process that was killed
    port.close()  # its devices are gone already
    seen["left"] = _ours()
    tap.remove_remains()
    seen["removed"] = _ours()
    json.dump(seen, sys.stdout)


def _learnt_elsewhere(network: socket.socket) -> bool:
    """The guest still sends from another host."""
    network.send(b"\xff" * 6 + MAC + _EXPERIMENT + bytes(46))
    return port_of(MAC) == "uplink"


def _forbidden(network: socket.socket) -> list[str]:
    """Send as other programs would; return what the network has seen of it."""
    with packet_socket("cma" + NIC.tap[-11:]) as device:
        for mac in (MAC, OTHER):
            device.send(b"\x01\x80\xc2\x00\x00\x0e" + mac + b"\x88\xcc" + bytes(46))  # LLDP
        device.send(b"\xff" * 6 + OTHER + b"\x80\x35" + bytes(8) + OTHER + bytes(32))
    # A frame that passes the bridge later.
    with packet_socket("br0") as bridge:
        bridge.send(b"\xff" * 6 + OTHER[:5] + b"\xff" + _EXPERIMENT + bytes(46))
    found: list[str] = []
    await_that(
        lambda: bool(found.extend(from_guest(network, OTHER[:5] + b"\xff", MAC, OTHER)) or found)
    )
    return found[:-1]


def _ours() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex() if name.startswith(("cma", "cmp")))


if __name__ == "__main__":
    main()
