"""Tries each guest until it is reached for the first time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from oslo_log import log

from nova_cachemig.agent.ports import ComponentError, ConnectionTester
from nova_cachemig.agent.services.reach import Change, ReachTable
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Route

LOG = log.getLogger(__name__)

CONNECT_TIMEOUT: Final = 2.0
"""Seconds for one attempt. The kernel sends a second SYN packet after one second."""

_PARALLEL: Final = 256


class ReachMonitor:
    """Fills the table of reached guests."""

    def __init__(
        self,
        routes: Callable[[], tuple[Route, ...]],
        tester: ConnectionTester,
        table: ReachTable,
    ) -> None:
        self._routes = routes
        self._tester = tester
        self._table = table
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """The routes have changed: try the new ones now."""
        self._changed.set()

    async def watch(self, interval: float) -> None:
        """Try the guests that were not reached yet, every ``interval`` seconds, until cancelled."""
        while True:
            self._changed.clear()
            await self.check()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._changed.wait()

    async def check(self) -> None:
        """Try each guest once that was not reached yet."""
        routes = self._routes()
        self._table.keep(routes)
        untried = self._table.to_try(routes)
        left = iter(untried)
        tasks = min(_PARALLEL, len(untried))
        await asyncio.gather(*(self._try_each(left) for _ in range(tasks)))

    async def _try_each(self, left: Iterator[Route]) -> None:
        """Try guests one after the other. Others take from the same iterator."""
        for route in left:
            await self._try(route)

    async def _try(self, route: Route) -> None:
        assert route.target is not None, "only known guests are tried"
        try:
            attempt = await self._tester.try_guest(route.target, timeout=CONNECT_TIMEOUT)
        except ComponentError as exc:
            attempt = Attempt(Reach.OTHER, detail=str(exc))
        name = route.service.name
        match self._table.record(route, attempt):
            case Change.UNREACHABLE:
                LOG.warning("service %s: %s", name, self._table.unreachable(route))
            case Change.REACHED:
                LOG.info("service %s: the guest is reachable", name)
