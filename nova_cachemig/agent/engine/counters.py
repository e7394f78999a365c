"""Reads the edge's log rings: the counts of each handover, and the access log for the warmer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.engine import accesslog, admin
from nova_cachemig.agent.ports import EdgeCounts
from nova_cachemig.model.access import AccessRecord

LOG = log.getLogger(__name__)

RECONNECT_PAUSE = 0.2
LOOK_EVERY = 0.02
"""Seconds between looks whether a rest is over."""
QUEUE = 10000
"""Records that wait for a consumer of the access log; the oldest are lost first."""


class ServiceCounters:
    """Counts requests by service since each began to be counted."""

    def __init__(self) -> None:
        self._counts: dict[str, EdgeCounts] = {}

    def begin(self, service: str) -> None:
        """Count anew from now on."""
        self._counts[service] = EdgeCounts()

    def of(self, service: str) -> EdgeCounts:
        """The counts; zeros if it was never begun."""
        return self._counts.get(service, EdgeCounts())

    def add(self, record: accesslog.EdgeRecord) -> None:
        """Count one request, if its service is counted."""
        service = record.access.service
        old = self._counts.get(service)
        if old is None:
            return
        hit = record.served in {"hit", "stale"}
        cache = record.served in {"hit", "stale", "stored", "pass"}
        failed = bool(record.error) and record.access.status >= 500
        self._counts[service] = EdgeCounts(
            hits=old.hits + hit,
            misses=old.misses + (cache and not hit),
            held=old.held + record.held,
            longest_wait=max(old.longest_wait, record.wait),
            failed=old.failed + failed,
        )


class RingReader:
    """Follows one ring over connections of its own, and connects again when one is lost."""

    def __init__(
        self,
        path: Path,
        ring: str,
        take: Callable[[accesslog.EdgeRecord], None],
        rate: int | None = None,
    ) -> None:
        self._path = path
        self._ring = ring
        self._take = take
        self._rate = rate  # records a second; None: all
        self._task: asyncio.Task[None] | None = None
        self._rest_until = 0.0
        self.connected = asyncio.Event()
        self.lines = 0
        self.malformed = 0

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow(), name=f"ring {self._ring}")

    def rest(self, seconds: float) -> None:
        """Take nothing for so long, and then what has come meanwhile; 0: go on now."""
        self._rest_until = time.monotonic() + seconds

    async def restart(self) -> None:
        """Follow the new worker after a reload: the old one would stay for this connection."""
        if self._task is not None:
            await self.stop()
            self.start()

    async def stop(self) -> None:
        """End."""
        self.connected.clear()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except (OSError, ValueError, admin.AdminError) as exc:
                LOG.debug("ring %s: %s", self._ring, exc)
            self.connected.clear()
            await asyncio.sleep(RECONNECT_PAUSE)

    async def _read(self) -> None:
        reader, writer = await admin.events(self._path, self._ring)
        self.connected.set()
        began, taken = time.monotonic(), 0
        try:
            while line := await reader.readline():
                while time.monotonic() < self._rest_until:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_EVERY)
                self._line(line.rstrip(b"\n"))
                if self._rate is None:
                    continue
                taken += 1
                if taken >= self._rate:
                    # Not reading is how HAProxy is told to drop: it never waits for a reader.
                    await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))
                    began, taken = time.monotonic(), 0
        finally:
            writer.close()

    def _line(self, line: bytes) -> None:
        if not line:
            return
        self.lines += 1
        try:
            record = accesslog.parse(line)
        except accesslog.NotALine as exc:
            self.malformed += 1
            LOG.debug("ring %s: %s", self._ring, exc)
            return
        if record is not None:
            self._take(record)


class AccessLog:
    """Hands each record to all who listen; those who are slow lose the oldest."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[AccessRecord]] = set()
        self.lost = 0

    def add(self, record: accesslog.EdgeRecord) -> None:
        """Hand out one record."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
                self.lost += 1
            queue.put_nowait(record.access)

    def listen(self) -> AsyncIterator[AccessRecord]:
        """Records from this call on, until the iterator is closed."""
        queue: asyncio.Queue[AccessRecord] = asyncio.Queue(QUEUE)
        self._queues.add(queue)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[AccessRecord]) -> AsyncIterator[AccessRecord]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)
