"""The one owner of HAProxy's maps: gathers the edits of all tasks into few exchanges.

A task says what it wants and waits until it is in force. During one exchange, the wishes of all
tasks gather for the next one. 200 changes of state thus cost one exchange, not 200.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Final

from oslo_log import log

from nova_cachemig.agent.engine.admin import RETRY_PAUSE, Admin, AdminError, LostError, command
from nova_cachemig.agent.engine.ledger import (
    Batch,
    Edit,
    EditQueue,
    MapLedger,
    Priority,
    Ticket,
    cost,
)

_Look = tuple[MapLedger, str, asyncio.Future[None]]
_Clear = tuple[MapLedger, list[Ticket]]

LOG = log.getLogger(__name__)

BATCH: Final = 16000
"""Bytes of commands in one exchange. HAProxy executes them within 2 ms if the map is small."""

_RETRY: Final = (0.2, 5.0)
"""Seconds until edits that HAProxy did not take are tried again: at first, and at most."""


class MapWriter:
    """Edits the maps over its own connection, which no question delays."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._queue = EditQueue()
        self._looks: dict[tuple[str, str], _Look] = {}
        self._clears: dict[str, _Clear] = {}
        self._gate = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._pause = _RETRY[0]
        self.exchanges = 0

    def want(
        self,
        ledger: MapLedger,
        keys: Iterable[str],
        priority: Priority = Priority.MARK,
        group: str = "",
    ) -> asyncio.Future[None]:
        """Return a future that is done when the wanted entries of these keys are in force.

        Later wishes for a key count too. The future has an AdminError if HAProxy does not take the
        edits in time. They stay wanted, and are tried again. They are made even if the caller is
        cancelled.
        """
        keys = list(keys)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve)
        if not keys:
            future.set_result(None)
            return future
        ticket = Ticket(len(keys), lambda error: _report(future, error))
        for key in keys:
            self._queue.add(Edit(ledger, key, priority, group, [ticket]))
        self._start()
        return future

    async def look(self, ledger: MapLedger, key: str) -> None:
        """Ask HAProxy for one entry: see :meth:`MapLedger.present`. Raises AdminError."""
        place = (ledger.path, key)
        if place not in self._looks:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_retrieve)
            self._looks[place] = (ledger, key, future)
            self._start()
        await asyncio.shield(self._looks[place][2])

    async def clear(self, ledger: MapLedger) -> None:
        """Remove all entries, also those that HAProxy has added. Raises AdminError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket = Ticket(1, lambda error: _report(future, error))
        ledger.wanted = {}
        tickets = self._clears.setdefault(ledger.path, (ledger, []))[1]
        tickets.append(ticket)
        for edit in self._queue.take_map(ledger):
            tickets.extend(edit.tickets)
        self._start()
        await future

    async def read(self, ledger: MapLedger) -> None:
        """Read the whole map and want what HAProxy has: after a restart of the agent."""
        async with self._gate:
            text = command("show", "map", ledger.path)
            ledger.read(await self._admin.run(text))
            ledger.adopt()

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Edit nothing meanwhile. The wishes of this time follow afterwards."""
        async with self._gate:
            yield

    async def reconnect(self) -> None:
        """HAProxy has another worker process."""
        await self._admin.close()

    async def close(self) -> None:
        """Stop. Callers that wait get an error."""
        if self._retry is not None:
            self._retry.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._admin.close()

    async def idle(self) -> None:
        """Return when all that is wanted so far was tried."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="edits of the edge's maps")

    async def _work(self) -> None:
        try:
            while self._queue or self._looks or self._clears:
                async with self._gate:
                    if not await self._round():
                        break
        finally:
            self._task = None

    async def _round(self) -> bool:
        """Make one exchange; False if HAProxy does not respond, or refuses an edit."""
        looks, self._looks = list(self._looks.values()), {}
        clears, self._clears = list(self._clears.values()), {}
        batch = Batch(self._queue.take(BATCH, cost))
        try:
            await self._exchange(looks, clears, batch)
        except AdminError as exc:
            self._failed(exc, batch, looks, clears)
            return False
        except asyncio.CancelledError:
            self._failed(AdminError("the agent stops"), batch, looks, clears, again=False)
            raise
        if batch.refused:
            self._later()
            return False
        self._pause = _RETRY[0]
        return True

    def _failed(
        self,
        error: AdminError,
        batch: Batch,
        looks: list[_Look],
        clears: list[_Clear],
        *,
        again: bool = True,
    ) -> None:
        for edit in batch.fail(error):
            self._queue.add(edit)
        for *_, future in looks:
            _report(future, error)
        for ledger, tickets in clears:
            ledger.forget()
            for ticket in tickets:
                ticket.fail(error)
        if again:
            LOG.warning("HAProxy did not take changes of its maps: %s", error)
            self._later()

    def _later(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(self._pause, self._start)
        self._pause = min(2 * self._pause, _RETRY[1])

    async def _exchange(
        self,
        looks: list[_Look],
        clears: list[_Clear],
        batch: Batch,
    ) -> None:
        """Try until the timeout: HAProxy is away while it is reloaded or restarted."""
        end = asyncio.get_running_loop().time() + self._admin.timeout
        while True:
            try:
                await self._attempt(looks, clears, batch)
            except LostError:
                batch.lost()
                for ledger, _ in clears:
                    ledger.forget()
                if asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(RETRY_PAUSE)
            else:
                return

    async def _attempt(self, looks: list[_Look], clears: list[_Clear], batch: Batch) -> None:
        for ledger in batch.ledgers:
            if not ledger.is_known:
                for key in await self._read(ledger):
                    self._queue.add(Edit(ledger, key, Priority.MARK, ""))
        first = [command("clear", "map", ledger.path) for ledger, _ in clears]
        first += [command("get", "map", ledger.path, key) for ledger, key, _ in looks]
        for ledger, _ in clears:
            ledger.cleared()
        edits = batch.commands()
        outputs = await self._ask([*first, *edits])
        for ledger, key, future in looks:
            ledger.learn(key, outputs[len(clears)])
            del outputs[len(clears)]
            _report(future, None)
        for output, (_, tickets) in zip(outputs, clears, strict=False):
            for ticket in tickets:
                ticket.fail(AdminError(output)) if output else ticket.done()
        for edit in batch.finish(outputs[len(clears) :]):
            self._queue.add(edit)

    async def _ask(self, commands: list[str]) -> list[str]:
        if not commands:
            return []
        self.exchanges += 1
        return await self._admin.exchange(*commands, repeat=False)

    async def _read(self, ledger: MapLedger) -> list[str]:
        return ledger.read("\n".join(await self._ask([command("show", "map", ledger.path)])))


def _report(future: asyncio.Future[None], error: AdminError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _retrieve(future: asyncio.Future[None]) -> None:
    """The caller may have been cancelled: let asyncio not complain about the error."""
    if not future.cancelled():
        future.exception()
