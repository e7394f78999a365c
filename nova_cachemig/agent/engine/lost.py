"""Makes TCP retransmit, at the guest's return, the data that HAProxy has sent into its silence.

The network can lose a write that passes to the guest just before its silence. HAProxy waits, and
TCP retransmits at intervals that double: the response can come as long after the return as the
silence took. :mod:`nova_cachemig.agent.retransmit` has the remedy, but needs the sockets, which are
HAProxy's. So the agent duplicates them (:mod:`descriptors`).

The number of the first unacknowledged byte is read during the silence, while nothing can arrive:
for some microseconds, HAProxy could not receive. At the return only messages are sent.

That needs the rights of ptrace(2). The agent's account and HAProxy's are the same, which
suffices, except where Yama (``kernel.yama.ptrace_scope``) is active: there HAProxy must be a child
of this agent, not of an earlier one. Without the rights, TCP's own intervals apply.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Final

from oslo_log import log

from nova_cachemig.agent import retransmit
from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.agent.engine.descriptors import Descriptors, cookie, duplicates
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

LOG = log.getLogger(__name__)

LOOKS: Final = (0.1, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each look at the connections in the silence. Data that two looks in a row find
unacknowledged is lost."""

ROUNDS: Final = (0.0, 0.05)
"""Seconds before each round of messages. The kernel ignores one while HAProxy uses the socket."""


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

    def forget(self, service: str) -> None:
        """The service is in no handover: nothing is left to do for it."""
        self._silent.discard(service)
        self._requests.pop(service, None)

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

        def drop(task: asyncio.Task[None]) -> None:
            if self._tasks.get(service) is task:
                del self._tasks[service]

        self._cancel(service)
        task = asyncio.create_task(guarded(), name=f"lost writes of {service}")
        self._tasks[service] = task
        task.add_done_callback(drop)

    async def _find(self, service: str, target: Target) -> None:
        requests, before = self._requests[service], set[int]()
        for pause in LOOKS:
            await asyncio.sleep(pause)
            found = [c for c in await self._edge.guests.to(target) if c.unacknowledged]
            new = [c for c in found if c.cookie in before and c.cookie not in requests]
            before = {connection.cookie for connection in found}
            if new:
                ours = await self._edge.guests.descriptors()
                requests |= await asyncio.to_thread(_requests, ours, new)

    async def _send(
        self, service: str, target: Target, requests: Mapping[int, retransmit.Request]
    ) -> None:
        for pause in ROUNDS:
            await asyncio.sleep(pause)
            found = await self._edge.guests.to(target)
            lost = [c for c in found if c.stuck and c.cookie in requests]
            for connection in lost:
                requests[connection.cookie].send(connection.retransmissions)
            LOG.info("service %s: TCP retransmits on %d connections", service, len(lost))


def _requests(
    ours: Descriptors, found: Sequence[sockdiag.Connection]
) -> dict[int, retransmit.Request]:
    """Return the requests for HAProxy's connections among these, by the socket's cookie.

    Connections of the agent, and those that read, are not among ``ours.others``. Raises OSError
    without the rights.
    """
    requests = {}
    for connection in found:
        for sock in duplicates(ours.worker, ours.others.get(connection.source_port, ())):
            if cookie(sock) == connection.cookie:
                request = retransmit.request_for(sock)
                if request is not None:
                    requests[connection.cookie] = request
    return requests


@functools.cache  # once per reason, not once per migration
def _warn_once(why: str) -> None:
    LOG.warning(
        "A write in flight at the guest's pause may wait for TCP after the guest's return, at most "
        "for as long as the pause took. Immediate retransmission needs CAP_NET_ADMIN, CAP_NET_RAW "
        "and the right to duplicate HAProxy's sockets: %s",
        why,
    )
