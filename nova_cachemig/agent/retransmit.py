"""Makes the kernel retransmit immediately what a paused guest has not acknowledged.

While the guest is paused, TCP retransmits at ever longer intervals, up to one second
(``TCP_RTO_MAX_MS``, the minimum that Linux accepts). After the guest's return the next
retransmission may be that far away, and everything behind the write waits for it.

RFC 6069 has the remedy. An ICMP "host unreachable" about the segment means that the path was
broken, not congested, and each such message takes back one doubling of the interval. If the shorter
interval has already expired, Linux retransmits immediately (``tcp_ld_RTO_revert``). Routers send
these messages late or never. The agent knows that the path was broken and is repaired, so it sends
them to its own kernel, over the loopback interface. TCP retransmits the same bytes with the same
sequence number, so the guest's kernel accepts them once, whatever else arrives.

This needs CAP_NET_RAW for the message and CAP_NET_ADMIN for the sequence number that the message
contains (the kernel reveals it in "repair" mode only). Without them, TCP's own intervals apply.
"""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import logging
import socket
import struct
from typing import Final

LOG = logging.getLogger(__name__)

# linux/tcp.h and linux/sockios.h; not in Python's socket module
_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ = 19, 20, 21
_REPAIR_ON, _REPAIR_OFF_NO_PROBE = 1, -1
_SEND_QUEUE: Final = 2
_SIOCOUTQ, _SIOCOUTQNSD = 0x5411, 0x894B

_UNREACHABLE: Final = {
    socket.AF_INET: (3, 1),  # destination, host
    socket.AF_INET6: (1, 0),  # destination, no route: the code that Linux accepts for IPv6
}
_TCP_INFO_BACKOFF: Final = 4  # offset of tcpi_backoff (doublings) in linux/tcp.h's tcp_info


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """Asks this host's kernel to retransmit the first unacknowledged segment of one connection.

    A request that comes too late or too early has no effect: the kernel accepts it only if it names
    the first unacknowledged byte.
    """

    family: socket.AddressFamily
    message: bytes
    destination: tuple[str | int, ...]  # the connection's own address

    def send(self, doublings: int) -> None:
        """Revert so many doublings of the interval. Raises OSError without CAP_NET_RAW."""
        kind = socket.IPPROTO_ICMP if self.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        with socket.socket(self.family, socket.SOCK_RAW, kind) as raw:
            for _ in range(doublings):
                raw.sendto(self.message, self.destination)


def request_for(sock: socket.socket) -> Request | None:
    """Return the request for a connected socket, or None if it has nothing to retransmit.

    Reading the number of the byte takes microseconds, in which the socket's owner cannot receive:
    nothing may arrive meanwhile, or the caller must be the owner. Raises OSError without
    CAP_NET_ADMIN.
    """
    if not _queued_bytes(sock, _SIOCOUTQ) or _queued_bytes(sock, _SIOCOUTQNSD):
        # Repair mode is unsafe while unsent bytes are queued: an acknowledgement that
        # arrives just then would mark them as sent.
        return None
    message = _unreachable_message(sock, _first_unacknowledged(sock))
    here, _, *scope = sock.getsockname()
    return Request(socket.AddressFamily(sock.family), message, (here, 0, *scope))


def request_retransmission(sock: socket.socket) -> bool:
    """Make TCP retransmit now what is not acknowledged on the caller's own connected socket.

    Returns False if there is nothing to retransmit, or the agent lacks the rights (logged once).
    """
    try:
        request = request_for(sock)
        if request is None:
            return False
        request.send(_doublings(sock))
    except OSError as exc:
        _warn_once(str(exc))
        return False
    return True


@functools.cache  # once per reason, not once per migration
def _warn_once(why: str) -> None:
    LOG.warning(
        "A write in flight at the guest's pause may wait up to a second for TCP after the guest's "
        "return (immediate retransmission needs CAP_NET_ADMIN and CAP_NET_RAW): %s",
        why,
    )


def _doublings(sock: socket.socket) -> int:
    """Return how often the interval was doubled. Linux also counts at the maximum interval."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BACKOFF + 1)
    return info[_TCP_INFO_BACKOFF]


def _queued_bytes(sock: socket.socket, request: int) -> int:
    """Return the number of unacknowledged (SIOCOUTQ) or unsent (SIOCOUTQNSD) bytes."""
    result = fcntl.ioctl(sock.fileno(), request, bytes(4))
    return int(struct.unpack("=i", result)[0])


def _first_unacknowledged(sock: socket.socket) -> int:
    """Return the sequence number of the first unacknowledged byte. Needs CAP_NET_ADMIN."""
    tcp = socket.IPPROTO_TCP
    sock.setsockopt(tcp, _TCP_REPAIR, _REPAIR_ON)
    try:
        sock.setsockopt(tcp, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
        end = struct.unpack("=I", sock.getsockopt(tcp, _TCP_QUEUE_SEQ, 4))[0]
        return int(end - _queued_bytes(sock, _SIOCOUTQ)) % 2**32
    finally:
        sock.setsockopt(tcp, _TCP_REPAIR, _REPAIR_OFF_NO_PROBE)


def _unreachable_message(sock: socket.socket, sequence: int) -> bytes:
    """Return an ICMP "unreachable" about the segment at ``sequence`` (RFC 792, RFC 4443)."""
    (here, source_port), (there, port) = sock.getsockname()[:2], sock.getpeername()[:2]
    ends = b"".join(socket.inet_pton(sock.family, address) for address in (here, there))
    kind, code = _UNREACHABLE[sock.family]
    ports = struct.pack("!HHI", source_port, port, sequence)
    if sock.family == socket.AF_INET6:
        segment = struct.pack("!IHBB", 6 << 28, 20, socket.IPPROTO_TCP, 64) + ends + ports
        return struct.pack("!BBHI", kind, code, 0, 0) + segment  # the kernel adds the checksum
    segment = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + ends + ports
    checksum = _checksum(struct.pack("!BBHI", kind, code, 0, 0) + segment)
    return struct.pack("!BBHI", kind, code, checksum, 0) + segment


def _checksum(data: bytes) -> int:
    """Return the Internet checksum of an even number of bytes (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
