"""What the engine is told of a service's writes, many at once: reads to hold, what is stale."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

LOG = logging.getLogger(__name__)

_PATIENCE: Final = 1.0  # seconds for the engine; it answers within milliseconds or is dead


class Invalidator(Protocol):
    """The part of the engine (``agent/seams``) that writes need."""

    async def invalidate(self, service: str, host: str, urls: list[str]) -> None:
        """Make the stored answers to these URLs unusable before this returns."""

    async def pending(self, service: str, key: str, on: bool) -> None:
        """Hold (on) or no longer hold (off) reads of a key: ``url:/a?b`` or ``client:10.0.0.1``."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Change:
    host: str
    urls: tuple[str, ...]
    keys: tuple[str, ...]
    by: int  # +1: one more write is pending for each key; -1: one less
    then: Callable[[], None]


class EdgeMarks:
    """One service's marks. A dead engine stores nothing, so its errors hold nobody up."""

    def __init__(self, edge: Invalidator | None, service: str) -> None:
        self._edge = edge
        self._service = service
        self._queue: list[_Change] = []
        self._pending: collections.Counter[str] = collections.Counter()
        self._task: asyncio.Task[None] | None = None
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
        self._pending.update(_keys(url, client))

    async def settle(self) -> None:
        """Return when the engine has been told everything."""
        while self._task is not None:
            await asyncio.shield(self._task)

    def _add(self, change: _Change) -> None:
        self._queue.append(change)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=f"marks {self._service}")

    async def _work(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                await self._apply(batch)
                for change in batch:
                    change.then()
        finally:
            self._task = None

    async def _apply(self, batch: list[_Change]) -> None:
        assert self._edge is not None
        urls: dict[str, dict[str, None]] = {}
        before: dict[str, bool] = {}
        for change in batch:
            urls.setdefault(change.host, {}).update(dict.fromkeys(change.urls))
            for key in change.keys:
                before.setdefault(key, self._pending[key] > 0)
                self._pending[key] = max(0, self._pending[key] + change.by)
        try:
            async with asyncio.timeout(_PATIENCE):
                for host, which in urls.items():
                    await self._edge.invalidate(self._service, host, list(which))
                for key, was in before.items():
                    now = self._pending[key] > 0
                    if now != was:
                        await self._edge.pending(self._service, key, now)
        except Exception as exc:
            # Whatever the engine's fault is: the write must not wait for it.
            self.failed += 1
            LOG.warning("The engine was not told of %d writes to %s: %r",
                        len(batch), self._service, exc)  # fmt: skip
        for key in before:
            if self._pending[key] == 0:
                del self._pending[key]


def _keys(url: str, client: str) -> tuple[str, str]:
    return f"url:{url}", f"client:{client}"
