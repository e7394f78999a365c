"""Reads the edge's log rings: counters of each handover, and the access log for the warmer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.engine import accesslog, admin
from nova_cachemig.agent.engine.totals import EdgeTotals
from nova_cachemig.agent.ports import EdgeCounts
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.policy import Rule
from nova_cachemig.model.reads import ReadCounts

LOG = log.getLogger(__name__)

RECONNECT_PAUSE = 0.2
PAUSE_POLL = 0.02
"""Seconds between checks whether a pause of a ring is over."""
KEPT = 1000
"""Services in no handover whose counters are kept."""
QUEUE_SIZE = 10000
"""Records that wait for one subscriber of the access log; the oldest are dropped first."""


class ServiceCounters:
    """Counts the requests of each service whose counters were started."""

    def __init__(self) -> None:
        self.totals = EdgeTotals()
        self._counts: dict[str, EdgeCounts] = {}
        self._reads: dict[str, ReadCounts] = {}
        self._ended: dict[str, None] = {}  # services in no handover, the oldest first

    def start(self, service: str, rules: Sequence[Rule] = ()) -> None:
        """Reset the counters of the service to zero and count from now on."""
        self._ended.pop(service, None)
        self._counts[service] = EdgeCounts()
        self._reads[service] = ReadCounts(rules)

    def end(self, service: str) -> None:
        """The handover has ended: keep its counters until :data:`KEPT` others have ended."""
        self._ended.pop(service, None)
        if service in self._counts:
            self._ended[service] = None
        if len(self._ended) > KEPT:
            self._remove(next(iter(self._ended)))

    def keep_only(self, services: Collection[str]) -> None:
        """Remove the counters of all services but these."""
        for gone in self._counts.keys() - set(services):
            self._remove(gone)

    def _remove(self, service: str) -> None:
        del self._counts[service], self._reads[service]
        self._ended.pop(service, None)

    def read_counts(self, service: str) -> ReadCounts:
        """Return what each rule did; nothing for a service that was never started."""
        return self._reads.get(service) or ReadCounts()

    def get(self, service: str) -> EdgeCounts:
        """Return the counters; zeros for a service without any."""
        return self._counts.get(service, EdgeCounts())

    def record(self, record: accesslog.EdgeRecord) -> None:
        """Count one request if its service is counted."""
        service = record.access.service
        old = self._counts.get(service)
        if old is None:
            return
        hit = record.served in {"hit", "stale"}
        cache = record.served in {"hit", "stale", "stored", "pass"}
        failed = bool(record.error) and record.access.status >= 500
        self.totals.read(hit=hit, miss=cache and not hit)
        if record.held:
            self.totals.hold(record.wait)
        if failed:
            self.totals.refuse(record.error)
        self._counts[service] = EdgeCounts(
            hits=old.hits + hit,
            misses=old.misses + (cache and not hit),
            held=old.held + record.held,
            longest_wait=max(old.longest_wait, record.wait),
            failed=old.failed + failed,
        )
        if record.facts is not None:
            access = record.access
            self._reads[service].add(
                record.facts, hit=hit, held=record.held, host=access.host, url=access.url
            )


class RingReader:
    """Follows one log ring of HAProxy, and reconnects when the connection is lost."""

    def __init__(
        self,
        path: Path,
        ring: str,
        on_record: Callable[[accesslog.EdgeRecord], None],
        rate: int | None = None,
    ) -> None:
        """``path`` is the admin socket; ``rate`` limits records per second, None reads all."""
        self._path = path
        self._ring = ring
        self._on_record = on_record
        self._rate = rate
        self._task: asyncio.Task[None] | None = None
        self._paused_until = 0.0
        self.connected = asyncio.Event()
        self.malformed = 0

    def start(self) -> None:
        """Begin to follow the ring."""
        self._task = asyncio.create_task(self._follow(), name=f"ring {self._ring}")

    def pause(self, seconds: float) -> None:
        """Handle no record for ``seconds``; those that arrive meanwhile are handled afterwards.

        0 ends a pause.
        """
        self._paused_until = time.monotonic() + seconds

    async def restart(self) -> None:
        """Follow the new worker after a reload; this connection would keep the old one alive."""
        if self._task is not None:
            await self.stop()
            self.start()

    async def stop(self) -> None:
        """Close the connection."""
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
        reader, writer = await admin.follow_ring(self._path, self._ring)
        self.connected.set()
        began, handled = time.monotonic(), 0
        try:
            while line := await reader.readline():
                while time.monotonic() < self._paused_until:  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE_POLL)
                self._handle(line.rstrip(b"\n"))
                if self._rate is None:
                    continue
                handled += 1
                if handled >= self._rate:
                    # HAProxy never waits for a reader: it drops the lines that are not read.
                    await asyncio.sleep(max(0.0, began + 1 - time.monotonic()))
                    began, handled = time.monotonic(), 0
        finally:
            writer.close()

    def _handle(self, line: bytes) -> None:
        if not line:
            return
        try:
            record = accesslog.parse(line)
        except accesslog.LogLineError as exc:
            self.malformed += 1
            LOG.debug("ring %s: %s", self._ring, exc)
            return
        if record is not None:
            self._on_record(record)


class AccessLog:
    """Passes each record to every subscriber; a slow subscriber loses the oldest records."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[AccessRecord]] = set()
        self.dropped = 0

    def publish(self, record: accesslog.EdgeRecord) -> None:
        """Pass one record to all subscribers."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
                self.dropped += 1
            queue.put_nowait(record.access)

    def subscribe(self) -> AsyncIterator[AccessRecord]:
        """Return the records from this call on, until the iterator is closed."""
        queue: asyncio.Queue[AccessRecord] = asyncio.Queue(QUEUE_SIZE)
        self._queues.add(queue)
        return self._iterate(queue)

    async def _iterate(self, queue: asyncio.Queue[AccessRecord]) -> AsyncIterator[AccessRecord]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)
