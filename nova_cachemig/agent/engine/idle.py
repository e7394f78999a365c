"""Closes the edge's idle connections to a guest that has become silent.

A guest closes a connection that was idle for some seconds, also while no packet reaches this node.
HAProxy learns this only when it sends the next request, and then closes the client's connection. So
no idle connection from before the silence is used after it.

The kernel closes the sockets (:mod:`sockdiag`), and HAProxy forgets them as if the guest had done
so. While the edge is shielded, it sends the guest no request, so none of them can be in use again.

The connections of clients that log in on a connection stay (the backend ``guest_personal``): to
close one would end the login.
"""

from __future__ import annotations

import asyncio
import functools

from oslo_log import log

from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

LOG = log.getLogger(__name__)


class IdleConnections:
    """Closes those of each service in its silence. Never raises."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def close(self, service: str, target: Target) -> None:
        """The service is shielded now: close its idle connections. Does not wait."""
        if service not in self._tasks:
            work = self._close(service, target)
            self._tasks[service] = asyncio.create_task(work, name=f"idle connections of {service}")

    async def closed(self, service: str, target: Target | None) -> None:
        """Return when they are closed. Also for a service that an earlier agent has shielded."""
        if target is not None:
            self.close(service, target)
        task = self._tasks.pop(service, None)
        if task is not None:
            await asyncio.wait([task])

    async def stop(self) -> None:
        """End all work."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self, service: str, target: Target) -> None:
        try:
            ours = await self._edge.guests.descriptors()
            if not ours.idle:
                return
            found = ours.select(await self._edge.guests.to(target), ours.idle)
            closed = sum(map(sockdiag.destroy, found))
        except (OSError, ComponentError) as exc:
            _warn_once(str(exc))
        else:
            LOG.info("service %s: closed %d idle connections", service, closed)


@functools.cache  # once per reason, not once per migration
def _warn_once(why: str) -> None:
    LOG.warning(
        "Idle connections to a silent guest stay open. The first request on one that the guest has "
        "closed fails after the silence: %s",
        why,
    )
