"""Makes TCP retransmit, at the guest's return, the data that HAProxy has sent into its silence.

The network can lose a write that passes to the guest just before its silence. HAProxy waits, and
TCP retransmits at intervals that double: the response can come as long after the return as the
silence took. :mod:`nova_cachemig.agent.retransmit` has the remedy, but needs the sockets, which are
HAProxy's. So the agent duplicates them (pidfd_getfd(2)).

The number of the first unacknowledged byte is read during the silence, while nothing can arrive:
for some microseconds, HAProxy could not receive. At the return only messages are sent.

pidfd_getfd needs the rights of ptrace(2). The agent's account and HAProxy's are the same, which
suffices, except where Yama (``kernel.yama.ptrace_scope``) is active: there HAProxy must be a child
of this agent, not of an earlier one. Without the rights, TCP's own intervals apply.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from oslo_log import log

from nova_cachemig.agent import retransmit
from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

LOG = log.getLogger(__name__)

LOOKS: Final = (0.1, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each look at the connections in the silence. Data that two looks in a row find
unacknowledged is lost."""

ROUNDS: Final = (0.0, 0.05)
"""Seconds before each round of messages. The kernel ignores one while HAProxy uses the socket."""

_PIDFD_GETFD: Final = 438  # asm-generic/unistd.h; not in Python's os module
_SO_COOKIE: Final = 57
_libc = ctypes.CDLL(None, use_errno=True)


class LostWrites:
    """The lost writes of each silent service: :meth:`watch` finds, :meth:`resend` sends them."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._silent: set[str] = set()
        self._requests: dict[str, dict[int, retransmit.Request]] = {}  # service → cookie → request
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def watch(self, service: str, target: Target) -> None:
        """The guest is silent: find the connections with lost data, until :meth:`end`."""
        if service not in self._silent:
            self._silent.add(service)
            self._requests[service] = {}
            self._start(service, lambda: self._find(service, target))

    def end(self, service: str) -> None:
        """The guest's silence is over. The connections found are kept for :meth:`resend`."""
        self._silent.discard(service)
        self._cancel(service)

    def resend(self, service: str, target: Target) -> None:
        """The guest is reachable: make TCP retransmit now. Does not wait, and never fails."""
        self.end(service)
        requests = self._requests.pop(service, None)
        if requests:
            self._start(service, lambda: self._send(service, target, requests))

    def _cancel(self, service: str) -> None:
        task = self._tasks.pop(service, None)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """End all work."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, service: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except (OSError, ComponentError) as exc:
                _warn_once(str(exc))

        self._cancel(service)
        self._tasks[service] = asyncio.create_task(guarded(), name=f"lost writes of {service}")

    async def _find(self, service: str, target: Target) -> None:
        requests, before = self._requests[service], set[int]()
        for pause in LOOKS:
            await asyncio.sleep(pause)
            found = [c for c in await _connections(target) if c.unacknowledged]
            new = [c for c in found if c.cookie in before and c.cookie not in requests]
            before = {connection.cookie for connection in found}
            if new:
                fds, worker = await self._edge.other_fds(), int(await self._edge.worker_pid())
                requests |= await asyncio.to_thread(_requests, worker, fds, new)

    async def _send(
        self, service: str, target: Target, requests: Mapping[int, retransmit.Request]
    ) -> None:
        for pause in ROUNDS:
            await asyncio.sleep(pause)
            lost = [c for c in await _connections(target) if c.stuck and c.cookie in requests]
            for connection in lost:
                requests[connection.cookie].send(connection.retransmissions)
            LOG.info("service %s: TCP retransmits on %d connections", service, len(lost))


async def _connections(target: Target) -> list[sockdiag.Connection]:
    return await asyncio.to_thread(sockdiag.connections, target.address, target.port)


def _requests(
    worker: int, fds: Mapping[int, int], found: Sequence[sockdiag.Connection]
) -> dict[int, retransmit.Request]:
    """Return the requests for HAProxy's connections among these, by the socket's cookie.

    ``fds``: local port → file descriptor of HAProxy. Raises OSError without the rights.
    """
    requests = {}
    pidfd = os.pidfd_open(worker)
    try:
        for connection in found:
            fd = fds.get(connection.source_port)
            if fd is None:
                continue  # a connection of the agent, or one that reads
            request = _request(_duplicate(pidfd, fd), connection)
            if request is not None:
                requests[connection.cookie] = request
    finally:
        os.close(pidfd)
    return requests


def _duplicate(pidfd: int, fd: int) -> int:
    """Return a descriptor of this process for another one's. Raises OSError."""
    mine: int = _libc.syscall(_PIDFD_GETFD, pidfd, fd, 0)
    if mine < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"pidfd_getfd: {os.strerror(code)}")
    return mine


def _request(fd: int, connection: sockdiag.Connection) -> retransmit.Request | None:
    """Return the request for the connection if ``fd`` is its socket. Closes ``fd``."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:  # HAProxy has closed the connection and uses the number for a file
        os.close(fd)
        return None
    with sock:
        cookie = sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8)
        if int.from_bytes(cookie, sys.byteorder) != connection.cookie:
            return None
        return retransmit.request_for(sock)


@functools.cache  # once per reason, not once per migration
def _warn_once(why: str) -> None:
    LOG.warning(
        "A write in flight at the guest's pause may wait for TCP after the guest's return, at most "
        "for as long as the pause took. Immediate retransmission needs CAP_NET_ADMIN, CAP_NET_RAW "
        "and the right to duplicate HAProxy's sockets: %s",
        why,
    )
