"""The header of the PROXY protocol with which a connection to the guest begins.

The agent uses such a connection for one write: the header names its client.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from nova_cachemig.model.service import SendProxy, Target
from nova_cachemig.model.write import AcceptedWrite

_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21  # version 2 with the command
_TCP4, _TCP6 = 0x11, 0x21
_NO_PORT: Final = 0  # the journal does not have the client's


def header(version: SendProxy, write: AcceptedWrite, target: Target) -> bytes:
    """Return the header for the client of a write, or one that names none if it is not known."""
    client, guest = client_of(write), ipaddress.ip_address(target.address)
    if client is None or client.version != guest.version:
        return b"PROXY UNKNOWN\r\n" if version is SendProxy.V1 else _binary(_LOCAL, 0, b"")
    if version is SendProxy.V1:
        text = f"PROXY TCP{client.version} {client} {guest} {_NO_PORT} {target.port}\r\n"
        return text.encode()
    addresses = client.packed + guest.packed + struct.pack(">HH", _NO_PORT, target.port)
    return _binary(_PROXY, _TCP4 if client.version == 4 else _TCP6, addresses)


def _binary(command: int, family: int, addresses: bytes) -> bytes:
    return _SIGNATURE + struct.pack(">BBH", command, family, len(addresses)) + addresses


def client_of(write: AcceptedWrite) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the client's address; the edge adds it as the last one of X-Forwarded-For."""
    found = [write.client]
    found += [value for name, value in write.headers if name.lower() == "x-forwarded-for"][-1:]
    for text in found:
        try:
            return ipaddress.ip_address(text.rpartition(",")[2].strip())
        except ValueError:
            continue  # a cookie identifies the client
    return None
