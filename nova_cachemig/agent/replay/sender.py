"""Sends one service's queue to its guest, in order (``ordering.py``), each write once.

Here: whether anything goes out at all, and what goes next where nothing has just been answered.
What becomes of a write that is on its way is in ``inflight.py``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.buffer import SendBuffer
from nova_cachemig.agent.replay.inflight import MAX_UNRECORDED, InFlightWrites
from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.agent.replay.quarantine import Quarantine
from nova_cachemig.agent.replay.queue import OnResponse, WriteQueue
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import HeldWrite

LOG = logging.getLogger(__name__)

_DISK_PAUSE: Final = 0.2  # seconds before the next try where progress cannot be logged
_OUR_FAULT_PAUSE: Final = 1.0  # seconds


class Sender:
    """The one that sends for one service."""

    def __init__(
        self,
        journal: Journal,
        queue: WriteQueue,
        conf: cfg.ConfigOpts,
        on_response: OnResponse,
        resume_delay: float = 0.0,
    ) -> None:
        """``resume_delay``: seconds from the guest's return to the first write.

        After a crash of the agent the guest may still deal with what it was sent before.
        """
        self._resume_delay = resume_delay
        self._resume_timer: asyncio.TimerHandle | None = None
        self._journal = journal
        self._queue = queue
        self._answer_timeout: float = conf.journal.answer_timeout
        self._pool = ConnectionPool(conf, queue.service.name)
        self._quarantine = Quarantine(journal, queue, on_response)
        self._buffer = SendBuffer(queue, self._quarantine, journal.spool)
        self._inflight = InFlightWrites(
            journal,
            queue,
            self._pool,
            self._buffer,
            self._quarantine,
            on_response,
            self._answer_timeout,
        )
        self._task: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._extending: asyncio.Future[None] | None = None
        self._extending_to = 0

    @property
    def target(self) -> Target | None:
        """Where the guest was last said to answer."""
        return self._pool.target

    def start(self) -> None:
        """Begin; nothing goes out before :meth:`send_to`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"replay {self._queue.service.name}")
            self._watch()

    def send_to(self, target: Target) -> None:
        """The guest answers here."""
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
        """Send no further write; one in flight keeps waiting for its answer."""
        self._cancel_resume()
        self._queue.gate_open = False
        self._pool.hold()

    async def stop(self, patience: float) -> None:
        """Stop; a write in flight has ``patience`` seconds to be answered."""
        self.hold()
        try:
            async with asyncio.timeout(patience):
                await self._queue.quiet()
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

    # --- which write goes next, and on which connection

    async def _run(self) -> None:
        queue = self._queue
        while True:
            moves = queue.moves
            try:
                await self._buffer.fill()
                write = queue.ordering.next(self._buffer.writes, queue.service)
                connection = await self._place(write) if write is not None else None
                if write is not None and connection is not None:
                    await self._begin(write, connection)
                    continue
            except Exception:
                LOG.exception("Replay to %s failed; again in 1 s", queue.service.name)
                await asyncio.sleep(_OUR_FAULT_PAUSE)
                continue
            # With a write at buffer: a guest that takes long may be given another connection.
            slow = write is not None and self._pool.busy and not queue.ordering.total
            await queue.moved_after(moves, guest.PROMPT if slow else None)

    async def _begin(self, write: HeldWrite, connection: guest.GuestConnection) -> None:
        try:
            self._inflight.begin(write, connection)
        except guest.NotSent as exc:
            LOG.debug("%s goes out on another connection: %s", write.name, exc)
        except OSError as exc:
            LOG.error("Nothing is sent: progress cannot be logged: %s", exc)
            await asyncio.sleep(_DISK_PAUSE)

    async def _place(self, write: HeldWrite) -> guest.GuestConnection | None:
        """The connection on which it may go out now, if any.

        Anything may have changed when this had to wait: then there is none, and the queue moved.
        """
        queue, pool = self._queue, self._pool
        if not pool.gate_open or queue.unrecorded >= MAX_UNRECORDED:
            return None
        if write.position > queue.send_limit:
            await asyncio.gather(self._extend(write.position), self._first_connection())
            return None
        if queue.send_limit - write.position < queue.window // 4 and queue.backlog.has_more():
            self._extend(write.position)  # ahead of need: nobody waits for it
        if queue.ordering.total and len(queue.ordering):
            return pool.joined(write, len(queue.ordering))
        connection = pool.idle()
        if connection is None and pool.busy:
            connection = pool.joined(write)
            if connection is None and self._now() - self._inflight.began_at < guest.PROMPT:
                return None  # to open connections costs such a guest more than it gains
        if connection is None:
            await pool.open()
            queue.touch()
        return connection

    async def _first_connection(self) -> None:
        """Have a connection by the time at which the disk has the mark."""
        if not self._pool.busy and self._pool.idle() is None:
            await self._pool.open()

    def _extend(self, position: int) -> asyncio.Future[None]:
        """Let ``window`` writes from this one on be sent; done when that is on disk."""
        queue = self._queue
        if self._extending is not None and position <= self._extending_to:
            return self._extending
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        top = position + queue.window - 1

        def done(_error: BaseException | None) -> None:
            queue.send_limit = max(queue.send_limit, top)
            queue.touch()
            self._extending = None
            if not future.done():
                future.set_result(None)

        self._extending, self._extending_to = future, top
        self._journal.raise_send_limit(queue.service.name, top, done)
        return future

    # --- the rest

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(min(self._answer_timeout / 4, 5.0), self._watch)
        self._pool.close_silent()
