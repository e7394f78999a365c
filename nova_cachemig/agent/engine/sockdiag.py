"""Cuts TCP connections with an unacknowledged request, through netlink's sock_diag.

The kernel of a paused guest acknowledges nothing, and the sender retransmits after 0.2, 0.4, 0.8 …
seconds. A request sent just before the pause can therefore wait for twice the pause. When its
connection is cut, the edge sends the request on a new connection, or looks for a stored page.
A connection with an acknowledged request is left alone: the guest's kernel sends the response when
the guest runs again.

Needs CAP_NET_ADMIN and CONFIG_INET_DIAG_DESTROY. The structures are those of linux/inet_diag.h.
"""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator

from nova_cachemig.agent.ports import ComponentError

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
SOCK_DESTROY = 21
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
TCP_ESTABLISHED = 1

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ID = struct.Struct(">HH16s16s")  # source port, destination port, source, destination
_ID_TAIL = struct.Struct("=I8s")  # interface, cookie
_COOKIE = struct.Struct("=II")  # low and high half, the end of the identity
_REQUEST = struct.Struct("=BBBBI")  # family, protocol, ext, pad, states
_MESSAGE = struct.Struct("=BBBB")  # family, state, timer, retransmissions
_QUEUES = struct.Struct("=III")  # expires, receive queue, send queue
_ID_SIZE = _ID.size + _ID_TAIL.size
_PORT, _ADDRESS = slice(6, 8), slice(24, 40)  # of the other end, in struct inet_diag_msg


@dataclasses.dataclass(frozen=True, slots=True)
class Connection:
    """An established connection as the kernel lists it."""

    family: int
    identity: bytes  # struct inet_diag_sockid
    source_port: int
    port: int
    address: str
    retransmissions: int
    unacknowledged: int  # bytes

    @property
    def cookie(self) -> int:
        """The kernel's number of the socket, which no other socket ever has (SO_COOKIE)."""
        low, high = _COOKIE.unpack_from(self.identity, _ID_SIZE - _COOKIE.size)
        return int(high << 32 | low)

    @property
    def stuck(self) -> bool:
        """Whether data was retransmitted and is still not acknowledged."""
        return self.unacknowledged > 0 and self.retransmissions > 0


def _parse(body: bytes) -> Connection:
    family, _state, _timer, retransmissions = _MESSAGE.unpack_from(body)
    identity = body[4 : 4 + _ID_SIZE]
    source_port, port, _source, destination = _ID.unpack_from(identity)
    size = 4 if family == socket.AF_INET else 16
    _expires, _received, unacknowledged = _QUEUES.unpack_from(body, 4 + _ID_SIZE)
    return Connection(
        family=family,
        identity=identity,
        source_port=source_port,
        port=port,
        address=str(ipaddress.ip_address(destination[:size])),
        retransmissions=retransmissions,
        unacknowledged=unacknowledged,
    )


def _messages(sock: socket.socket) -> Iterator[bytes]:
    """Yield the bodies of the reply, until its end or acknowledgement. Raises OSError."""
    while True:
        data, at = sock.recv(1 << 18), 0
        while at < len(data):
            length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, at)
            body = data[at + _HEADER.size : at + length]
            at += (length + 3) & ~3
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                code = -int(struct.unpack_from("=i", body)[0])
                if code:
                    raise OSError(code, errno.errorcode.get(code, str(code)))
                return
            yield body


def _send(sock: socket.socket, kind: int, flags: int, request: bytes) -> None:
    sock.sendall(_HEADER.pack(_HEADER.size + len(request), kind, flags, 1, 0) + request)


def _open() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    sock.settimeout(2)
    return sock


class Listing:
    """The established connections of this host. Only those that are asked for are parsed."""

    def __init__(self, bodies: Iterable[bytes]) -> None:
        self._bodies: dict[bytes, list[bytes]] = {}  # port and address of the other end → messages
        for body in bodies:
            self._bodies.setdefault(body[_PORT] + body[_ADDRESS], []).append(body)

    def to(self, address: str, port: int) -> list[Connection]:
        """Return the connections to an address."""
        packed = ipaddress.ip_address(address).packed
        key = port.to_bytes(2, "big") + packed.ljust(16, b"\0")
        return [_parse(body) for body in self._bodies.get(key, ())]


def listing(family: socket.AddressFamily, port: int = 0) -> Listing:
    """Return this host's established connections to a port, 0: to all. Raises ComponentError."""
    any_address = bytes(16)
    identity = _ID.pack(0, port, any_address, any_address) + _ID_TAIL.pack(0, b"\xff" * 8)
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << TCP_ESTABLISHED)
    request += identity
    try:
        with _open() as sock:
            _send(sock, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, request)
            return Listing(_messages(sock))
    except OSError as exc:
        raise ComponentError(f"the kernel does not list TCP connections: {exc}") from exc


def connections(address: str, port: int) -> list[Connection]:
    """Return this host's established connections to an address. Raises ComponentError."""
    version = ipaddress.ip_address(address).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return listing(family, port).to(address, port)


def destroy(connection: Connection) -> bool:
    """Cut a connection; return False if it had ended. Raises ComponentError without permission."""
    request = (
        _REQUEST.pack(connection.family, socket.IPPROTO_TCP, 0, 0, 1 << TCP_ESTABLISHED)
        + connection.identity
    )
    with _open() as sock:
        _send(sock, SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, request)
        try:
            list(_messages(sock))
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                return False
            raise ComponentError(
                f"cannot cut a connection to a guest ({exc}): the agent needs CAP_NET_ADMIN and "
                "the kernel CONFIG_INET_DIAG_DESTROY"
            ) from exc
    return True
