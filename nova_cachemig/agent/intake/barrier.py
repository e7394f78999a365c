"""What the engine is told of a service's writes, many at once: reads to hold, what is stale."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Callable, Iterable
from typing import Final

from nova_cachemig.agent.ports import BarrierEngine

LOG = logging.getLogger(__name__)

_PATIENCE: Final = 3.0  # seconds for the engine; it answers within milliseconds or is dead
_RETRY: Final = 0.2  # seconds until it is told again what it could not be told
# Seconds between two tellings of answers alone. When the guest is back they come one after the
# other, and an exchange with the engine costs the node more than a write does.
_GATHER: Final = 0.004


@dataclasses.dataclass(frozen=True, slots=True)
class _Change:
    host: str
    urls: tuple[str, ...]
    keys: tuple[str, ...]
    by: int  # +1: one more write is pending for each key; -1: one less
    then: Callable[[], None]


class ReadBarrier:
    """One service's barrier. A dead engine stores nothing, so its errors hold nobody up."""

    def __init__(self, edge: BarrierEngine | None, service: str) -> None:
        self._edge = edge
        self._service = service
        self._queue: list[_Change] = []
        self._pending: collections.Counter[str] = collections.Counter()
        self._on_response: set[str] = set()  # keys of which the engine knows that they are pending
        self._untold: set[str] = set()  # keys whose last telling failed
        self._task: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._told_at = 0.0  # loop time at which the engine was last told something
        self.failed = 0

    async def accepted(self, host: str, url: str, client: str) -> None:
        """Return when no older answer to ``url`` is served and the client's reads are held."""
        if self._edge is None:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def then() -> None:
            if not future.done():
                future.set_result(None)

        self._add(_Change(host, (url,), _keys(url, client), +1, then))
        await future

    def answered(
        self, host: str, url: str, client: str, also: Iterable[str], then: Callable[[], None]
    ) -> None:
        """The write is done (or will never be): ``then`` is called once the engine knows."""
        if self._edge is None:
            then()
        else:
            self._add(_Change(host, (url, *also), _keys(url, client), -1, then))

    def recover(self, url: str, client: str) -> None:
        """A write of before a restart waits."""
        keys = _keys(url, client)
        self._pending.update(keys)
        self._untold.update(keys)  # the engine may know, from before the restart, or may not
        self._again_soon()

    async def flush(self) -> None:
        """Return when the engine has been told everything."""
        while self._task is not None:
            await asyncio.shield(self._task)

    def _add(self, change: _Change) -> None:
        self._queue.append(change)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=f"barrier {self._service}")

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._gather()
                batch, self._queue = self._queue, []
                await self._apply(batch)
                for change in batch:
                    change.then()
        finally:
            self._task = None

    async def _gather(self) -> None:
        """Let answers gather; no new write waits for that but for one that has begun."""
        loop = asyncio.get_running_loop()
        rest = self._told_at + _GATHER - loop.time()
        if rest > 0 and all(change.by < 0 for change in self._queue):
            await asyncio.sleep(rest)
        self._told_at = loop.time()

    async def _apply(self, batch: list[_Change]) -> None:
        stale: dict[str, dict[str, None]] = {}
        touched: dict[str, None] = dict.fromkeys(self._untold)
        for change in batch:
            stale.setdefault(change.host, {}).update(dict.fromkeys(change.urls))
            for key in change.keys:
                touched[key] = None
                self._pending[key] = max(0, self._pending[key] + change.by)
        changes = {
            key: self._pending[key] > 0
            for key in touched
            if (self._pending[key] > 0) != (key in self._on_response) or key in self._untold
        }
        if await self._tell({host: list(urls) for host, urls in stale.items()}, changes):
            self._untold.difference_update(changes)
            self._on_response.update(key for key, on in changes.items() if on)
            self._on_response.difference_update(key for key, on in changes.items() if not on)
        else:
            self._untold.update(changes)
            self._again_soon()
        for key in touched:
            if self._pending[key] == 0:
                del self._pending[key]

    async def _tell(self, stale: dict[str, list[str]], changes: dict[str, bool]) -> bool:
        assert self._edge is not None
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._edge.update_barrier(self._service, stale, changes)
        except Exception as exc:
            # Whatever the engine's fault is: the write must not wait for it.
            self.failed += 1
            LOG.warning(
                "The engine was not told of the writes to %s: %r; again soon", self._service, exc
            )
            return False
        return True

    def _again_soon(self) -> None:
        """A key that stays on would hold its readers for nothing."""
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY, self._again)

    def _again(self) -> None:
        self._retry = None
        if self._task is None and self._untold:
            self._queue.append(_Change("", (), (), 0, lambda: None))
            self._task = asyncio.create_task(self._work(), name=f"barrier {self._service}")


def _keys(url: str, client: str) -> tuple[str, str]:
    return f"url:{url}", f"client:{client}"
