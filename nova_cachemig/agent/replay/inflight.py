"""One write's way: out to the guest, and what becomes of it when the guest has answered, or not.

The guest deals with one write at a time where none may go behind another, so what it waits for is
the time from its answer to the next write. When an answer comes in, it is logged, and the next
write goes out in the same turn of the loop with all that may go behind it
(:meth:`InFlightWrites._follow`). Everything else that the answer needs is done while the guest is
busy.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.buffer import SendBuffer
from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.agent.replay.quarantine import Quarantine
from nova_cachemig.agent.replay.queue import OnResponse, WriteQueue
from nova_cachemig.agent.replay.request import under_way
from nova_cachemig.model.write import GuestResponse, HeldWrite

LOG = logging.getLogger(__name__)

MAX_UNRECORDED: Final = 256  # answers that wait for the disk: bounds the memory they take


class InFlightWrites:
    """The writes of one queue that are on their way."""

    def __init__(
        self,
        journal: Journal,
        queue: WriteQueue,
        pool: ConnectionPool,
        buffer: SendBuffer,
        quarantine: Quarantine,
        on_response: OnResponse,
        answer_timeout: float,
    ) -> None:
        """``answer_timeout``: seconds for which a guest that still deals with a write is asked."""
        self._journal = journal
        self._queue = queue
        self._pool = pool
        self._buffer = buffer
        self._quarantine = quarantine
        self._on_response = on_response
        self._answer_timeout = answer_timeout
        self._ask_until: dict[int, float] = {}  # of those that the guest still deals with
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self.began_at = 0.0  # loop time at which a write was last sent

    def stop(self) -> None:
        """What is in flight stays so: the next start finds it on disk."""
        self._stopped = True

    def begin(self, write: HeldWrite, connection: guest.GuestConnection) -> None:
        """Send it. Raises OSError: progress cannot be logged, or the connection is gone (NotSent).

        Then it is at hand as before.
        """
        request = self._buffer.request(write)
        self._journal.log_sent(write)
        ended = functools.partial(self._ended, write, connection)
        if write.body.spool is None:
            connection.send(request, ended)
        else:
            upload = asyncio.ensure_future(connection.upload(request, self._chunks(write)))
            upload.add_done_callback(lambda task: ended(task.exception() or task.result()))
        self._buffer.drop(write)
        self._queue.ordering.begin(write)
        self._queue.sending(write)
        self._pool.take(connection, write)
        self.began_at = self._loop.time()

    async def _chunks(self, write: HeldWrite) -> AsyncIterator[bytes]:
        if write.body.spool is None:
            return
        chunks = self._journal.spool.read(write.body.spool)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    # --- its end

    def _ended(
        self,
        write: HeldWrite,
        connection: guest.GuestConnection,
        end: GuestResponse | BaseException,
    ) -> None:
        if self._stopped:
            return
        try:
            if isinstance(end, GuestResponse):
                self._answered(write, connection, end)
            else:
                self._broken(write, connection, end)
        except Exception as exc:
            # Our own fault. The write must neither vanish nor block the queue for ever.
            LOG.exception("Replay of %s failed", write.name)
            self._pool.leave(connection, write)
            self._quarantine.begin(write, f"the agent failed: {exc!r}")

    def _answered(
        self, write: HeldWrite, connection: guest.GuestConnection, answer: GuestResponse
    ) -> None:
        later, now = under_way(write, answer), self._loop.time()
        if later is None or now >= self._ask_until.setdefault(
            write.position, now + self._answer_timeout
        ):
            self._ask_until.pop(write.position, None)
            if self._journal.log_response(write, answer):
                self._follow(write, connection)
            self._pool.leave(connection, write)
            self._queue.finish(write, answer, self._on_response)
            return
        # The guest still deals with its first try. None that it keeps waiting overtakes it.
        self._pool.leave(connection, write)
        self._queue.not_sent(write)
        self._loop.call_later(later, self._wait_again, write)

    def _follow(self, answered: HeldWrite, connection: guest.GuestConnection) -> None:
        """Send what may go next where an answer has come in, unless there is something to weigh.

        Whatever speaks against it is left to the sender's task: writes in flight elsewhere, a
        closed gate, a guest that moved, a mark that is not on disk, an upload. This sends what the
        task would have sent next, in one packet.
        """
        flying = self._pool.others(connection, answered)
        elsewhere = (
            len(self._queue.ordering) > len(flying) + 1
        )  # the one that was answered is in it
        if not self._queue.ordering.total or elsewhere or not self._pool.free(connection):
            return
        try:
            while (write := self._next(connection, flying)) is not None:
                self.begin(write, connection)
                flying.append(write)
        except OSError as exc:
            LOG.debug("The next write of %s is not sent at once: %s", self._queue.service.name, exc)
        finally:
            connection.flush()

    def _next(
        self, connection: guest.GuestConnection, flying: Sequence[HeldWrite]
    ) -> HeldWrite | None:
        write = self._buffer.first
        if (
            write is None
            or write.position > self._queue.send_limit
            or self._queue.unrecorded >= MAX_UNRECORDED
            or write.body.spool is not None
            or (flying and not self._pool.takes(connection, write, flying))
        ):
            return None
        return write

    def _broken(
        self, write: HeldWrite, connection: guest.GuestConnection, error: BaseException
    ) -> None:
        if isinstance(error, guest.ConnectionLost):
            self._pool.lost(connection)
        elif not isinstance(error, guest.NotSent):
            connection.close()  # it may be in the midst of a body
        self._pool.leave(connection, write)
        if isinstance(error, guest.NotSent):
            self._again(write)
        elif isinstance(error, guest.ConnectionLost) and write.resendable:
            LOG.warning("%s %s goes out again: %s", write.method, write.name, error)
            self._again(write)
        elif isinstance(error, guest.ConnectionLost):
            why = f"{error}; {write.method} may not be sent twice and the service honours no keys"
            self._quarantine.begin(write, why)
        else:
            LOG.error("Replay of %s failed", write.name, exc_info=error)
            self._quarantine.begin(write, f"the agent failed: {error!r}")

    def _again(self, write: HeldWrite) -> None:
        self._queue.not_sent(write)
        self._wait_again(write)

    def _wait_again(self, write: HeldWrite) -> None:
        self._buffer.put(write)
        self._queue.begin_again(write)
