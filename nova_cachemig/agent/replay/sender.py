"""Sends one service's queue to its guest, in order (``ordering.py``), each write once.

This module decides whether anything is sent. It selects the next write unless a response has just
arrived.
The outcome of a write in flight is handled in ``inflight.py``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.attempts import Attempts
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.buffer import SendBuffer
from nova_cachemig.agent.replay.inflight import MAX_UNRECORDED, InFlightWrites
from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.agent.replay.quarantine import Quarantine
from nova_cachemig.agent.replay.queue import OnResponse, WriteQueue
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import AcceptedWrite

LOG = logging.getLogger(__name__)

_MEMORY: Final = 16 << 20  # bytes of responses' bodies in memory, of one service
_DISK_PAUSE: Final = 0.2  # seconds before the next try if the progress cannot be logged
_ERROR_PAUSE: Final = 1.0  # seconds before the next try after an error


class Sender:
    """The sender of one service."""

    def __init__(
        self,
        journal: Journal,
        queue: WriteQueue,
        conf: cfg.ConfigOpts,
        on_response: OnResponse,
        resume_delay: float = 0.0,
        memory: MemoryBudget | None = None,
    ) -> None:
        """``resume_delay``: seconds from the guest's return to the first write.

        After a crash of the agent the guest may still be processing earlier writes. ``memory``: of
        the responses of all services.
        """
        self._resume_delay = resume_delay
        self._resume_timer: asyncio.TimerHandle | None = None
        self._journal = journal
        self._queue = queue
        limits = (conf.journal.response_timeout, conf.journal.response_time)
        self._watch_interval: float = min(min(limits) / 4, 5.0)
        budget = MemoryBudget(_MEMORY, memory)
        bodies = ResponseBodies(journal.spool, conf.journal.spool_threshold, budget)
        self._pool = ConnectionPool(conf, queue.service.name, bodies)
        self._quarantine = Quarantine(journal, queue, on_response)
        self._buffer = SendBuffer(queue, self._quarantine, journal.spool)
        self._inflight = InFlightWrites(
            journal,
            queue,
            self._pool,
            self._buffer,
            self._quarantine,
            on_response,
            Attempts(conf.journal.resend_tries, conf.journal.resend_time),
        )
        self._task: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._raising: asyncio.Future[None] | None = None  # the send limit, until it is on disk
        self._raising_to = 0

    @property
    def target(self) -> Target | None:
        """Where the guest was last reachable."""
        return self._pool.target

    def start(self) -> None:
        """Start the sender. It sends nothing before :meth:`send_to`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"replay {self._queue.service.name}")
            self._watch()

    def send_to(self, target: Target) -> None:
        """The guest is reachable at ``target``: send the waiting writes there."""
        self._cancel_resume()
        if self._resume_delay:
            loop = asyncio.get_running_loop()
            self._resume_timer = loop.call_later(self._resume_delay, self._resume, target)
            return
        self._pool.send_to(target)
        self._queue.open_gate()

    def _resume(self, target: Target) -> None:
        self._resume_delay = 0.0
        self.send_to(target)

    def _cancel_resume(self) -> None:
        if self._resume_timer is not None:
            self._resume_timer.cancel()
            self._resume_timer = None

    def hold(self) -> None:
        """Send no further write. Writes in flight keep waiting for their responses."""
        self._cancel_resume()
        self._queue.gate_open = False
        self._pool.hold()

    def give_up(self) -> None:
        """Close the connections with writes in flight, which are quarantined, and go on."""
        self._inflight.give_up()

    async def stop(self, patience: float) -> None:
        """Stop. Writes in flight have ``patience`` seconds to get their responses."""
        self.hold()
        try:
            async with asyncio.timeout(patience):
                await self._queue.wait_in_flight()
        except TimeoutError:
            LOG.warning("%s: stopped with a write in flight", self._queue.service.name)
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._queue.backlog.stop()
        await self._quarantine.stop()
        self._inflight.stop()
        self._pool.close()

    # --- the next write and its connection

    async def _run(self) -> None:
        queue = self._queue
        while True:
            version = queue.version
            try:
                await self._buffer.fill()
                write = queue.ordering.next_write(self._buffer.writes, queue.service)
                connection = await self._connection_for(write) if write is not None else None
                if write is not None and connection is not None:
                    await self._send(write, connection)
                    continue
            except Exception:
                LOG.exception("Replay to %s failed; next try in 1 s", queue.service.name)
                await asyncio.sleep(_ERROR_PAUSE)
                continue
            # With a write in the buffer: a slow guest may get another connection.
            slow = write is not None and self._pool.busy_count and not queue.ordering.is_total
            await queue.wait_for_change(version, guest.PROMPT if slow else None)

    async def _send(self, write: AcceptedWrite, connection: guest.GuestConnection) -> None:
        try:
            self._inflight.send(write, connection)
        except guest.NotSent as exc:
            LOG.debug("%s needs another connection: %s", write.name, exc)
        except OSError as exc:
            LOG.error("Cannot log the progress, so nothing is sent: %s", exc)
            await asyncio.sleep(_DISK_PAUSE)

    async def _connection_for(self, write: AcceptedWrite) -> guest.GuestConnection | None:
        """Return the connection on which the write may be sent now, if there is one.

        If this method had to wait, anything may have changed. Then it returns None and notifies the
        queue.
        """
        queue, pool = self._queue, self._pool
        if not pool.gate_open or queue.unrecorded >= MAX_UNRECORDED:
            return None
        if write.position > queue.send_limit:
            await asyncio.gather(self._raise_send_limit(write.position), self._ensure_connection())
            return None
        if queue.send_limit - write.position < queue.send_window // 4 and queue.backlog.has_more():
            self._raise_send_limit(write.position)  # ahead of need, without waiting
        if queue.ordering.is_total and len(queue.ordering):
            return pool.find_pipelined(write, len(queue.ordering))
        connection = pool.find_idle()
        if connection is None and pool.busy_count:
            connection = pool.find_pipelined(write)
            if connection is None and self._now() - self._inflight.last_sent_at < guest.PROMPT:
                return None  # with a quick guest, a new connection costs more than it gains
        if connection is None:
            await pool.open()
            queue.notify()
        return connection

    async def _ensure_connection(self) -> None:
        """Connect while the disk syncs the send limit."""
        if not self._pool.busy_count and self._pool.find_idle() is None:
            await self._pool.open()

    def _raise_send_limit(self, position: int) -> asyncio.Future[None]:
        """Allow ``send_window`` writes from this position on. The result: this is done, or failed.

        ``queue.send_limit`` shows which.
        """
        queue = self._queue
        if self._raising is not None and position <= self._raising_to:
            return self._raising
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        limit = position + queue.send_window - 1

        def done(error: BaseException | None) -> None:
            if error is None:
                queue.send_limit = max(queue.send_limit, limit)
                end()
            else:  # nothing beyond the old limit may be sent
                LOG.error("Cannot raise the send limit of %s: %s", queue.service.name, error)
                asyncio.get_running_loop().call_later(_ERROR_PAUSE, end)

        def end() -> None:
            queue.notify()
            if self._raising is future:
                self._raising = None
            if not future.done():
                future.set_result(None)

        self._raising, self._raising_to = future, limit
        self._journal.raise_send_limit(queue.service.name, limit, done)
        return future

    # --- helpers

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(self._watch_interval, self._watch)
        self._pool.end_overdue()
