"""Has the kernel repeat at once what a guest that was silent has not acknowledged.

While the guest is paused, TCP repeats what is on its way at ever longer intervals, up to a second
(``TCP_RTO_MAX_MS``, the least that Linux takes). When the guest is back, the next repetition may be
that far off, and everything behind the write waits for it.

RFC 6069 has the remedy: an ICMP "host unreachable" about the segment says that the path was broken,
not crowded, and each takes one doubling of the interval back; when the shorter interval is over
already, Linux repeats the segment at once (``tcp_ld_RTO_revert``). Routers send these messages late
or never, so the agent sends them to its own kernel, over the loopback: it knows that the path was
broken, and that it is no more. TCP repeats the same bytes at the same sequence number: the guest's
kernel takes them once, whatever else arrives.

Needs CAP_NET_RAW for the message and CAP_NET_ADMIN for the sequence number that it names (the
kernel tells it in "repair" mode only). Without them TCP's own intervals stand.
"""

from __future__ import annotations

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
    socket.AF_INET6: (1, 0),  # destination, no route: the one that Linux heeds for IPv6
}
_TCP_INFO_BACKOFF: Final = 4  # bytes: where linux/tcp.h has tcpi_backoff, doublings


def repeat(sock: socket.socket) -> bool:
    """Have what is not acknowledged on a connected TCP socket sent again now.

    Returns False where there is nothing to repeat, or it may not be done here (logged once). Where
    it comes too late or too early nothing happens: the kernel heeds the message only if it
    names the first byte that is not acknowledged.
    """
    try:
        if not _queued(sock, _SIOCOUTQ) or _queued(sock, _SIOCOUTQNSD):
            # With bytes that were never sent the kernel must not be in repair mode: an
            # acknowledgement that came just then would have them marked as sent.
            return False
        message = _message(sock, _first_unacknowledged(sock))
        kind = socket.IPPROTO_ICMP if sock.family == socket.AF_INET else socket.IPPROTO_ICMPV6
        with socket.socket(sock.family, socket.SOCK_RAW, kind) as raw:
            here, _, *scope = sock.getsockname()
            for _ in range(_doublings(sock)):
                raw.sendto(message, (here, 0, *scope))
    except OSError as exc:
        _tell_once(str(exc))
        return False
    return True


@functools.cache  # once a reason, not once a migration
def _tell_once(why: str) -> None:
    LOG.warning(
        "A write that was on its way when its guest fell silent may wait for TCP for up to a "
        "second after its return (repeating it at once needs CAP_NET_ADMIN and CAP_NET_RAW): %s",
        why,
    )


def _doublings(sock: socket.socket) -> int:
    """How often the interval was doubled; Linux counts on where its upper bound is reached."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BACKOFF + 1)
    return info[_TCP_INFO_BACKOFF]


def _queued(sock: socket.socket, what: int) -> int:
    """Bytes that are not acknowledged (SIOCOUTQ) or not even sent (SIOCOUTQNSD)."""
    answer = fcntl.ioctl(sock.fileno(), what, bytes(4))
    return int(struct.unpack("=i", answer)[0])


def _first_unacknowledged(sock: socket.socket) -> int:
    """The sequence number; needs CAP_NET_ADMIN."""
    tcp = socket.IPPROTO_TCP
    sock.setsockopt(tcp, _TCP_REPAIR, _REPAIR_ON)
    try:
        sock.setsockopt(tcp, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
        end = struct.unpack("=I", sock.getsockopt(tcp, _TCP_QUEUE_SEQ, 4))[0]
        return int(end - _queued(sock, _SIOCOUTQ)) % 2**32
    finally:
        sock.setsockopt(tcp, _TCP_REPAIR, _REPAIR_OFF_NO_PROBE)


def _message(sock: socket.socket, sequence: int) -> bytes:
    """ICMP's "unreachable" about the segment at ``sequence``: RFC 792 and 4443."""
    (here, source_port), (there, port) = sock.getsockname()[:2], sock.getpeername()[:2]
    ends = b"".join(socket.inet_pton(sock.family, address) for address in (here, there))
    kind, code = _UNREACHABLE[sock.family]
    ports = struct.pack("!HHI", source_port, port, sequence)
    if sock.family == socket.AF_INET6:
        about = struct.pack("!IHBB", 6 << 28, 20, socket.IPPROTO_TCP, 64) + ends + ports
        return struct.pack("!BBHI", kind, code, 0, 0) + about  # the kernel makes the checksum
    about = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + ends + ports
    checksum = _checksum(struct.pack("!BBHI", kind, code, 0, 0) + about)
    return struct.pack("!BBHI", kind, code, checksum, 0) + about


def _checksum(data: bytes) -> int:
    """The Internet checksum of an even number of bytes: RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
