"""Connects to a guest: a TCP socket whose timeouts suit a guest that pauses."""

from __future__ import annotations

import asyncio
import socket

from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.model.service import Target

# linux/tcp.h; not in Python's socket module
_TCP_THIN_LINEAR_TIMEOUTS = 16
_TCP_RTO_MAX_MS = 44  # since Linux 6.15
_TCP_RTO_MIN_US = 45  # since Linux 6.18
_RTO_MAX = 1000  # ms, the minimum that Linux accepts: the longest interval of retransmissions
# While the first packets are sent, the switches still learn the guest's new place. A lost packet is
# retransmitted after this time, not after 200 ms. A guest may delay its acknowledgement by 40 ms.
_RTO_MIN = 60_000  # µs
_NEVER = 2**31 - 1  # ms, the largest TCP_USER_TIMEOUT


def _configure(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    # Without this, short intervals would use up tcp_retries2 within seconds of the guest's pause,
    # and TCP would drop the connection with a write in flight. It also replaces the number of
    # keep-alive probes. A pause may last for any time, so TCP never gives up: the machine closes
    # the connection if a reachable guest does not respond, or at the deadline.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _NEVER)
    for option, value in (
        (_TCP_THIN_LINEAR_TIMEOUTS, 1),
        (_TCP_RTO_MAX_MS, _RTO_MAX),
        (_TCP_RTO_MIN_US, _RTO_MIN),
    ):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        except OSError:  # ENOPROTOOPT: an older kernel; a write in flight then waits longer
            continue


async def connect(
    target: Target,
    *,
    source: str | None,
    max_response: int,
    bodies: ResponseBodies | None = None,
) -> GuestConnection:
    """Connect to ``target``, from the address ``source``. Raises OSError.

    The caller limits the time. ``max_response`` and ``bodies``: see :class:`ResponseReader`.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _configure(sock)
        if source is not None:
            sock.bind((source, 0))
        await loop.sock_connect(sock, (target.address, target.port))
        _, protocol = await loop.create_connection(
            lambda: GuestConnection(target, max_response, sock, bodies), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return protocol
