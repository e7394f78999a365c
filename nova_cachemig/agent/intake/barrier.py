"""The read barrier: sends the engine the reads to hold and the responses that are stale.

One update of the engine carries the changes of many writes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from nova_cachemig.agent.ports import BarrierEngine
from nova_cachemig.model.effects import held_reads

LOG = logging.getLogger(__name__)

_TIMEOUT: Final = 3.0  # seconds; the engine responds within milliseconds, or is dead
_RETRY: Final = 0.2  # seconds until a failed update is tried again
# Seconds between updates that only release reads. After the guest's return, responses arrive one
# after the other, and an update of the engine costs the node more than a write.
_GATHER: Final = 0.004


@dataclasses.dataclass(frozen=True, slots=True)
class _Change:
    host: str
    urls: tuple[str, ...]  # their stored responses become stale
    name: object  # of the write
    keys: tuple[str, ...]  # whose reads it holds from now on; none: it has ended
    then: Callable[[], None]  # called after the update


class ReadBarrier:
    """The barrier of one service. A dead engine serves nothing, so its errors delay no write."""

    def __init__(self, engine: BarrierEngine | None, service: str) -> None:
        """``engine``: None if there is nothing to inform."""
        self._engine = engine
        self._service = service
        self._queue: list[_Change] = []
        self._pending: dict[str, set[object]] = {}  # key → the writes that hold its reads
        self._keys: dict[object, tuple[str, ...]] = {}  # write → its keys
        self._held: set[str] = set()  # keys whose reads the engine holds, as of the last update
        self._unsent: set[str] = set()  # keys whose last update failed
        self._task: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._updated_at = 0.0  # loop time of the last update
        self.failed = 0  # updates

    def hold(
        self,
        name: object,
        host: str,
        url: str,
        client: str,
        then: Callable[[], None],
        also: Sequence[str] = (),
    ) -> None:
        """A write begins. Call ``then`` when older responses to ``url`` are stale and reads held.

        Held are reads of the URL and of ``also``, which the write changes too, and reads of the
        client. ``name`` is the write's.
        """
        if self._engine is None:
            then()
        else:
            keys = held_reads(url, client, also)
            self._add(_Change(host, (url, *also), name, keys, then))

    def rename(self, name: object, new: object) -> None:
        """Give a write another name, after its :meth:`hold`."""
        keys = self._keys.pop(name, ())
        for key in keys:
            self._pending[key].discard(name)
            self._pending[key].add(new)
        if keys:
            self._keys[new] = keys

    def release(
        self, name: object, host: str, stale: Iterable[str], then: Callable[[], None]
    ) -> None:
        """A write has ended. Call ``then`` after the engine was updated.

        ``stale``: the URLs whose stored responses are stale now.
        """
        if self._engine is None:
            then()
        else:
            self._add(_Change(host, tuple(stale), name, (), then))

    def keep_only(self, wanted: Callable[[object], bool]) -> None:
        """Release the reads of all other writes."""
        for name in [name for name in self._keys if not wanted(name)]:
            self.release(name, "", (), lambda: None)

    async def flush(self) -> None:
        """Return when the engine has all updates."""
        while self._task is not None:
            await asyncio.shield(self._task)

    def _add(self, change: _Change) -> None:
        self._queue.append(change)
        self._start()

    def _start(self) -> None:
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
        """Wait for more releases. A new write never waits for this, unless it has begun already."""
        loop = asyncio.get_running_loop()
        rest = self._updated_at + _GATHER - loop.time()
        if rest > 0 and not any(change.keys for change in self._queue):
            await asyncio.sleep(rest)
        self._updated_at = loop.time()

    async def _apply(self, batch: list[_Change]) -> None:
        stale: dict[str, dict[str, None]] = {}
        touched: dict[str, None] = dict.fromkeys(self._unsent)
        for change in batch:
            if change.urls:
                stale.setdefault(change.host, {}).update(dict.fromkeys(change.urls))
            touched.update(dict.fromkeys(self._change(change)))
        updates = {
            key: key in self._pending
            for key in touched
            if (key in self._pending) != (key in self._held) or key in self._unsent
        }
        if await self._update_engine({host: list(urls) for host, urls in stale.items()}, updates):
            self._unsent.difference_update(updates)
            self._held.update(key for key, on in updates.items() if on)
            self._held.difference_update(key for key, on in updates.items() if not on)
        else:
            self._unsent.update(updates)
            self._schedule_retry()

    def _change(self, change: _Change) -> tuple[str, ...]:
        """Count a write in, or out. Return its keys."""
        if change.keys:
            self._keys[change.name] = change.keys
            for key in change.keys:
                self._pending.setdefault(key, set()).add(change.name)
            return change.keys
        keys = self._keys.pop(change.name, ())
        for key in keys:
            names = self._pending[key]
            names.discard(change.name)
            if not names:
                del self._pending[key]
        return keys

    async def _update_engine(self, stale: dict[str, list[str]], updates: dict[str, bool]) -> bool:
        assert self._engine is not None
        try:
            async with asyncio.timeout(_TIMEOUT):
                await self._engine.update_barrier(self._service, stale, updates)
        except Exception as exc:
            # The write must not wait for the engine, whatever its error is.
            self.failed += 1
            LOG.warning(
                "Cannot update the engine's read barrier of %s; next try in %s s: %r",
                self._service,
                _RETRY,
                exc,
            )
            return False
        return True

    def _schedule_retry(self) -> None:
        """Try a failed update again. Otherwise the engine could hold reads for no reason."""
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if self._task is None and self._unsent:
            self._add(_Change("", (), None, (), lambda: None))
