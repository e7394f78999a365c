"""One service's writes, from their acceptance to the guest's response."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Final

from nova_cachemig.agent.journal.queries import QueueState, UnreadableWrite
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.ports import WriteCounts
from nova_cachemig.agent.replay.backlog import Backlog
from nova_cachemig.agent.replay.ordering import OrderingRules
from nova_cachemig.model.service import Service
from nova_cachemig.model.write import AcceptedWrite, GuestResponse

LOG = logging.getLogger(__name__)

_RECORD_PAUSE: Final = 1.0  # seconds before a response is recorded again


class QuarantinedError(Exception):
    """The write is quarantined: it is in doubt, or its record is damaged.

    The text is for clients: a fixed sentence without a period, and without details.
    """


OnResponse = Callable[[AcceptedWrite, GuestResponse | None, Callable[[], None]], None]
"""Called with each response that is on disk, or with None for a quarantined write. It calls its
third argument when the client may see the response."""


def _resolve(waiter: asyncio.Future[GuestResponse] | None, response: GuestResponse) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(response)


class WriteQueue:
    """Positions, counters, and the clients that wait. Call it in the event loop's thread."""

    def __init__(
        self,
        journal: Journal,
        service: Service,
        state: QueueState,
        send_window: int,
        parallel: int = 1,
    ) -> None:
        """``send_window``: writes per step of the send limit. ``parallel``: writes in flight."""
        self.service = service
        self.ordering = OrderingRules(parallel)
        self.ordering.serialize_through(state.next - 1)
        self.send_window = send_window
        self.gate_open = False  # the guest is reachable
        self.arriving = 0  # requests whose head the intake has, not yet accepted or refused
        self.sealed = False  # other writes may pass by the journal: no client gets a 202 early
        self.send_limit = state.send_limit  # on disk: writes up to this position may be sent
        self.waiting = state.waiting
        self.waiting_bytes = state.waiting_bytes
        self.in_doubt = state.in_doubt
        self.accepted = 0
        self.responded = 0
        self.longest_wait = 0.0
        self.last_sent = 0  # the highest position that was sent
        self._sent: set[int] = set()
        self._recording: set[int] = set()  # with a response that is not yet on disk
        self._next = state.next
        self._journal = journal
        self._waiters: dict[int, asyncio.Future[GuestResponse]] = {}
        self._kept: set[int] = set()  # their clients have a status URL by now
        self._changed = asyncio.Event()
        self.version = 0  # number of changes that may allow a write to be sent
        self.backlog = Backlog(
            lambda after, limit: journal.waiting(service.name, after, limit),
            journal.write_from_row,
            after=0,
            newest=state.next - 1 if state.waiting else 0,
        )

    # --- acceptance

    def is_full(self, length: int, max_waiting: int, max_bytes: int) -> bool:
        """Whether another body of ``length`` bytes would exceed a limit."""
        return self.waiting >= max_waiting or self.waiting_bytes + length > max_bytes

    def take_position(self) -> int:
        """Return the next position. Call :meth:`append` without awaiting anything in between."""
        position = self._next
        self._next += 1
        return position

    def append(
        self, write: AcceptedWrite, key: tuple[str, str] | None
    ) -> tuple[asyncio.Future[None], asyncio.Future[GuestResponse]]:
        """Accept a write: on disk and in the queue.

        The first future is done when the write is accepted (else NotAccepted), the second when the
        guest's response is on disk (else QuarantinedError).
        """
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[None] = loop.create_future()
        response: asyncio.Future[GuestResponse] = loop.create_future()
        self.waiting += 1
        self.waiting_bytes += write.body.length
        # While the guest is reachable, the send limit is raised by the same fsync.
        soon = self.gate_open and write.position <= self.last_sent + self.send_window
        send_limit = write.position if soon and write.position > self.send_limit else None

        def done(error: BaseException | None) -> None:
            if error is None:
                self._enqueue(write, send_limit)
            else:
                self._remove_refused(write)
            if accepted.cancelled():  # the client has disconnected
                return
            if error is None:
                self._waiters[write.position] = response
                accepted.set_result(None)
            else:
                accepted.set_exception(error)

        self._journal.append(write, send_limit, key, done)
        return accepted, response

    def resend(self, write: AcceptedWrite) -> asyncio.Future[None]:
        """Send a quarantined write again, as the operator wants: it becomes the newest one.

        The result is done when the write is at its new position on disk. If that fails, it has the
        error, and nothing is sent.
        """
        result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        moved = dataclasses.replace(write, position=self.take_position())
        self.waiting += 1
        self.waiting_bytes += write.body.length

        def done(error: BaseException | None) -> None:
            if error is None:
                self.in_doubt = max(0, self.in_doubt - 1)
                self._enqueue(moved, None)
            else:
                self._remove_refused(moved)
            if result.cancelled():
                return
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)

        self._journal.move(write.position, moved, done)
        return result

    def _enqueue(self, write: AcceptedWrite, send_limit: int | None) -> None:
        self.accepted += 1
        if send_limit is not None:
            self.send_limit = max(self.send_limit, send_limit)
        self.backlog.push(write)
        self.notify()

    def _remove_refused(self, write: AcceptedWrite) -> None:
        self.waiting -= 1
        self.waiting_bytes -= write.body.length
        self.notify()

    def keep_response(self, position: int) -> bool:
        """Keep the response for a status URL. False: too late, the response is being recorded."""
        if position in self._recording:
            return False
        self._kept.add(position)
        return True

    def remove_waiter(self, position: int) -> None:
        """The client no longer waits for the response. The write stays."""
        self._waiters.pop(position, None)

    # --- sending

    @property
    def in_flight(self) -> int:
        """Number of writes in flight."""
        return len(self._sent)

    def open_gate(self) -> None:
        """The guest is reachable."""
        self.gate_open = True
        self.notify()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def wait_for_change(self, version: int, timeout: float | None) -> None:
        """Return when :attr:`version` differs from ``version``, or after ``timeout`` seconds."""
        if self.version != version:
            return
        if timeout is None:
            await self._wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wait()

    def notify(self) -> None:
        """Wake up all waiting tasks: a change may allow a write to be sent."""
        self.version += 1
        self._changed.set()

    def mark_sent(self, write: AcceptedWrite) -> None:
        """The write's first byte is being sent."""
        self.waiting -= 1
        self.waiting_bytes -= write.body.length
        self._sent.add(write.position)
        self.last_sent = max(self.last_sent, write.position)

    def mark_unsent(self, write: AcceptedWrite) -> None:
        """The write must be sent again. Until :meth:`unblock`, nothing may overtake it."""
        self._sent.discard(write.position)
        self.waiting += 1
        self.waiting_bytes += write.body.length

    def unblock(self, write: AcceptedWrite) -> None:
        """The write is in the buffer again: the ordering rules decide when it is sent."""
        self.ordering.finish(write.position)
        self.notify()

    def finish(
        self, write: AcceptedWrite, response: GuestResponse, on_response: OnResponse
    ) -> None:
        """Record the guest's response; then inform the edge, then the client.

        The progress log has the response already.
        """
        position = write.position
        # In a backlog, responses arrive faster than the disk syncs: many share one sync.
        can_wait = self.backlog.has_more()
        keep = position in self._kept or write.has_status_url or write.client_key

        def record() -> None:
            self._journal.record_response(write, response, keep=keep, can_wait=can_wait, done=done)

        def done(error: BaseException | None) -> None:
            if error is not None:  # the progress log has the response, the client not yet
                LOG.error("The response to %s is not on disk; trying again: %s", write.name, error)
                asyncio.get_running_loop().call_later(_RECORD_PAUSE, record)
                return
            self._recording.discard(position)
            self._kept.discard(position)
            self.responded += 1
            self.longest_wait = max(self.longest_wait, time.time() - write.accepted_at)
            waiter = self._waiters.pop(position, None)
            for_client = self._opened(response) if waiter is not None else response
            on_response(write, response, lambda: _resolve(waiter, for_client))
            self.notify()

        record()
        self._remove_in_flight(position)
        self._recording.add(position)
        self.notify()

    def _opened(self, response: GuestResponse) -> GuestResponse:
        """Open the body's spool file, because it is deleted if the journal does not keep it."""
        if response.body.spool is None:
            return response
        try:
            content = self._journal.spool.open(response.body.spool)
        except OSError as exc:
            LOG.error("Cannot read the body of a response: %s", exc)
            lost = ("cachemig-write", "responded; its body could not be read")
            return GuestResponse(response.status, (*response.headers, lost))
        body = dataclasses.replace(response.body, content=content)
        return dataclasses.replace(response, body=body)

    def finish_quarantined(self, write: AcceptedWrite | UnreadableWrite, public: str) -> None:
        """The write is quarantined, which is on disk: the queue goes on without it.

        ``public``: the reason for the client, see :class:`QuarantinedError`.
        """
        if isinstance(write, UnreadableWrite) or write.position not in self._sent:
            self.waiting -= 1
            if isinstance(write, AcceptedWrite):
                self.waiting_bytes -= write.body.length
            if self.waiting == 0:
                self.waiting_bytes = 0  # the size of an unreadable write is unknown
        else:
            self.in_doubt += 1
        self._remove_in_flight(write.position)
        waiter = self._waiters.pop(write.position, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(QuarantinedError(public))
        self.notify()

    def _remove_in_flight(self, position: int) -> None:
        self._sent.discard(position)
        self.ordering.finish(position)

    # --- state

    @property
    def unrecorded(self) -> int:
        """Number of responses that are not yet on disk."""
        return len(self._recording)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, nothing is in flight, and all responses are on disk."""
        return self.waiting == 0 and self.in_flight == 0 and not self._recording

    async def drained(self) -> None:
        """Return at the first instant at which the queue is idle."""
        while not self.idle:
            await self._wait()

    async def arrived(self) -> None:
        """Return at the first instant at which no request is arriving."""
        while self.arriving:
            await self._wait()

    async def wait_in_flight(self) -> None:
        """Return when nothing is in flight and all responses are on disk."""
        while self.in_flight or self._recording:
            await self._wait()

    def counts(self) -> WriteCounts:
        """Return the counters of the port ``WritePath``."""
        return WriteCounts(
            accepted=self.accepted,
            waiting=self.waiting,
            in_flight=self.in_flight + len(self._recording),
            in_doubt=self.in_doubt,
            responded=self.responded,
            longest_wait=self.longest_wait,
        )

    def reopen(self, service: Service) -> None:
        """Reset the counters: the service is opened again."""
        self.service = dataclasses.replace(service)
        self.sealed = False
        self.accepted = self.responded = 0
        self.longest_wait = 0.0
