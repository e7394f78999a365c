"""The writes in flight: sends a write, and handles its outcome.

If nothing may be pipelined, the guest processes one write at a time. It then waits from its
response to the next write. So the agent logs the response and, in the same turn of the event loop,
sends the next write together with all that may be pipelined behind it
(:meth:`InFlightWrites._send_next`). The rest of the work for the response is done while the guest
is busy.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.attempts import Attempts
from nova_cachemig.agent.replay.buffer import SendBuffer
from nova_cachemig.agent.replay.pool import ConnectionPool
from nova_cachemig.agent.replay.quarantine import (
    AGENT_FAILED,
    CONNECTION_LOST,
    GIVEN_UP,
    Quarantine,
)
from nova_cachemig.agent.replay.queue import OnResponse, WriteQueue
from nova_cachemig.agent.replay.request import retry_after
from nova_cachemig.model.write import AcceptedWrite, GuestResponse

LOG = logging.getLogger(__name__)

MAX_UNRECORDED: Final = 256  # responses that wait for the disk: bounds the memory they use


class InFlightWrites:
    """The writes of one queue that are in flight."""

    def __init__(
        self,
        journal: Journal,
        queue: WriteQueue,
        pool: ConnectionPool,
        buffer: SendBuffer,
        quarantine: Quarantine,
        on_response: OnResponse,
        attempts: Attempts,
    ) -> None:
        """``attempts`` decides how often a write is sent again.

        That happens if the connection breaks, or if the guest still processes the first try: see
        :func:`retry_after`.
        """
        self._journal = journal
        self._queue = queue
        self._pool = pool
        self._buffer = buffer
        self._quarantine = quarantine
        self._on_response = on_response
        self._attempts = attempts
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._given_up: set[int] = set()  # positions
        self.last_sent_at = 0.0  # loop time

    def stop(self) -> None:
        """Ignore all further outcomes: the next start finds the writes on disk."""
        self._stopped = True

    def give_up(self) -> None:
        """Quarantine all writes in flight, also those that may be sent again."""
        for connection, writes in self._pool.in_flight().items():
            self._given_up.update(write.position for write in writes)
            connection.close("the handover's deadline has passed")

    def send(self, write: AcceptedWrite, connection: guest.GuestConnection) -> None:
        """Send a write.

        Raises OSError if the progress cannot be logged, or the connection is closed (NotSent). Then
        the write stays in the buffer.
        """
        request = self._buffer.request_bytes(write)
        self._journal.log_sent(write)
        on_outcome = functools.partial(self._on_outcome, write, connection)
        if write.body.spool is None:
            connection.send(request, on_outcome)
        else:
            upload = asyncio.ensure_future(connection.upload(request, self._chunks(write)))
            upload.add_done_callback(lambda task: on_outcome(task.exception() or task.result()))
        self._buffer.remove(write)
        self._queue.ordering.start(write)
        self._queue.mark_sent(write)
        self._pool.assign(connection, write)
        self.last_sent_at = self._loop.time()

    async def _chunks(self, write: AcceptedWrite) -> AsyncIterator[bytes]:
        if write.body.spool is None:
            return
        chunks = self._journal.spool.read(write.body.spool)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    # --- outcomes

    def _on_outcome(
        self,
        write: AcceptedWrite,
        connection: guest.GuestConnection,
        outcome: GuestResponse | BaseException,
    ) -> None:
        if self._stopped:
            return
        try:
            if isinstance(outcome, GuestResponse):
                self._on_guest_response(write, connection, outcome)
            else:
                self._on_failure(write, connection, outcome)
        except Exception as exc:
            # A bug of the agent. The write must neither vanish nor block the queue for ever.
            LOG.exception("Replay of %s failed", write.name)
            self._pool.release(connection, write)
            self._quarantine.start(write, f"the agent failed: {exc!r}", AGENT_FAILED)

    def _on_guest_response(
        self, write: AcceptedWrite, connection: guest.GuestConnection, response: GuestResponse
    ) -> None:
        pause = retry_after(write, response)
        if pause is None or not self._attempts.may_try_again(write.position, self._loop.time()):
            self._attempts.forget(write.position)
            if self._journal.log_response(write, response):
                self._send_next(write, connection)
            self._pool.release(connection, write)
            self._queue.finish(write, response, self._on_response)
            return
        # The guest still processes the first try. No write that must wait for it may overtake it.
        self._pool.release(connection, write)
        self._requeue(write, pause)
        if response.body.spool is not None:
            self._loop.run_in_executor(None, self._journal.spool.remove, response.body.spool)

    def _send_next(self, finished: AcceptedWrite, connection: guest.GuestConnection) -> None:
        """Send the next writes in one packet when a response arrives, in the simple case.

        The sender's task handles the other cases: writes in flight on other connections, a closed
        gate, a guest that moved, a send limit that is not on disk, an upload. This method sends
        what the task would send next.
        """
        in_flight = self._pool.others_on(connection, finished)
        # The finished write still counts in the ordering rules.
        elsewhere = len(self._queue.ordering) > len(in_flight) + 1
        if not self._queue.ordering.is_total or elsewhere or not self._pool.is_usable(connection):
            return
        try:
            while (write := self._next_for(connection, in_flight)) is not None:
                self.send(write, connection)
                in_flight.append(write)
        except OSError as exc:
            LOG.debug("Cannot send the next write of %s yet: %s", self._queue.service.name, exc)
        finally:
            connection.flush()

    def _next_for(
        self, connection: guest.GuestConnection, in_flight: Sequence[AcceptedWrite]
    ) -> AcceptedWrite | None:
        write = self._buffer.first
        if (
            write is None
            or write.position > self._queue.send_limit
            or self._queue.unrecorded >= MAX_UNRECORDED
            or write.body.spool is not None
            or (in_flight and not self._pool.can_pipeline(connection, write, in_flight))
        ):
            return None
        return write

    def _on_failure(
        self, write: AcceptedWrite, connection: guest.GuestConnection, error: BaseException
    ) -> None:
        if isinstance(error, guest.ConnectionLost):
            self._pool.record_loss(connection)
        elif not isinstance(error, guest.NotSent):
            connection.close()  # it may have sent half of a body
        self._pool.release(connection, write)
        given_up = write.position in self._given_up
        self._given_up.discard(write.position)
        if isinstance(error, guest.NotSent):
            self._requeue(write)
        elif isinstance(error, guest.ConnectionLost) and given_up:
            self._attempts.forget(write.position)
            self._quarantine.start(write, f"{error}; no response until then", GIVEN_UP)
        elif isinstance(error, guest.ConnectionLost) and write.resendable:
            self._send_again(write, error)
        elif isinstance(error, guest.ConnectionLost):
            why = f"{error}; {write.method} must not be sent twice and the service honours no keys"
            self._quarantine.start(write, why, CONNECTION_LOST)
        else:
            LOG.error("Replay of %s failed", write.name, exc_info=error)
            self._quarantine.start(write, f"the agent failed: {error!r}", AGENT_FAILED)

    def _send_again(self, write: AcceptedWrite, error: guest.ConnectionLost) -> None:
        """Send the write again, if it is not to blame for too many broken connections."""
        pause: float | None = 0.0
        if not self._pool.was_open_since(error.since):
            self._attempts.forget(write.position)
        elif error.oldest:  # the guest had the writes behind it, but did not process them yet
            pause = self._attempts.lost(write.position, self._loop.time())
        if pause is not None:
            LOG.warning("Sending %s %s again: %s", write.method, write.name, error)
            self._requeue(write, pause)
            return
        number = self._attempts.number(write.position)
        self._attempts.forget(write.position)
        why = f"{error}; this happened each time that it was sent: {number} times"
        self._quarantine.start(write, why, CONNECTION_LOST)

    def _requeue(self, write: AcceptedWrite, pause: float = 0.0) -> None:
        """Send the write again after ``pause`` seconds. Nothing overtakes it meanwhile."""
        self._queue.mark_unsent(write)
        if pause:
            self._loop.call_later(pause, self._put_back, write)
        else:
            self._put_back(write)

    def _put_back(self, write: AcceptedWrite) -> None:
        self._buffer.add(write)
        self._queue.unblock(write)
