"""One service's writes, from their acceptance to the guest's answer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable

from nova_cachemig.agent.journal.queries import QueueState, UnreadableWrite
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.ports import WriteCounts
from nova_cachemig.agent.replay.backlog import Backlog
from nova_cachemig.agent.replay.ordering import OrderingRules
from nova_cachemig.model.service import Service
from nova_cachemig.model.write import GuestResponse, HeldWrite


class QuarantinedError(Exception):
    """Nobody knows whether the guest has applied the write, or its record is damaged."""


OnResponse = Callable[[HeldWrite, GuestResponse | None, Callable[[], None]], None]
"""Called with each response that is on disk, or None for a quarantined write; it calls the third
argument when the client may see the response."""


def _resolve(waiter: asyncio.Future[GuestResponse] | None, answer: GuestResponse) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(answer)


class WriteQueue:
    """Positions, counts, who waits for which answer. For the event loop's thread."""

    def __init__(
        self,
        journal: Journal,
        service: Service,
        standing: QueueState,
        window: int,
        parallel: int = 1,
    ) -> None:
        """``parallel``: writes in flight at a time while the guest answers (``ordering.py``)."""
        self.service = service
        self.ordering = OrderingRules(parallel)
        self.ordering.alone_through(standing.next - 1)
        self.window = window
        self.gate_open = False  # the guest is said to answer
        self.send_limit = standing.send_limit  # on disk: writes up to here may be sent
        self.waiting = standing.waiting
        self.waiting_bytes = standing.waiting_bytes
        self.in_doubt = standing.in_doubt
        self.accepted = 0
        self.answered = 0
        self.longest_wait = 0.0
        self.last_sent = 0
        self._sent: set[int] = set()
        self._recording: set[int] = set()  # answered, that is not yet on disk
        self._next = standing.next
        self._journal = journal
        self._waiters: dict[int, asyncio.Future[GuestResponse]] = {}
        self._asked_later: set[int] = set()
        self._moved = asyncio.Event()
        self.moves = 0  # how often something was accepted, has ended, or the gate was opened
        self.backlog = Backlog(
            lambda after, limit: journal.waiting(service.name, after, limit),
            journal.write_from_row,
            after=0,
            newest=standing.next - 1 if standing.waiting else 0,
        )

    # --- acceptance

    def full(self, length: int, max_waiting: int, max_bytes: int) -> bool:
        """Whether a body of ``length`` bytes more would be too much to wait."""
        return self.waiting >= max_waiting or self.waiting_bytes + length > max_bytes

    def take_position(self) -> int:
        """The next place in the order; :meth:`append` must follow without waiting between."""
        position = self._next
        self._next += 1
        return position

    def append(
        self, write: HeldWrite, key: tuple[str, str] | None
    ) -> tuple[asyncio.Future[None], asyncio.Future[GuestResponse]]:
        """Put a write on disk and in the queue.

        The first future is done when it is accepted (NotAccepted where it never will be), the
        second when the guest has responded and the response is on disk (else QuarantinedError).
        """
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[None] = loop.create_future()
        answer: asyncio.Future[GuestResponse] = loop.create_future()
        self.waiting += 1
        self.waiting_bytes += write.body.length
        # While the guest answers, the mark "may be sent" shares the acceptance's fsync.
        soon = self.gate_open and write.position <= self.last_sent + self.window
        send_limit = write.position if soon and write.position > self.send_limit else None

        def done(error: BaseException | None) -> None:
            if error is None:
                self._accept(write, send_limit)
            else:
                self._leave(write)
            if accepted.cancelled():  # the client is gone
                return
            if error is None:
                self._waiters[write.position] = answer
                accepted.set_result(None)
            else:
                accepted.set_exception(error)

        self._journal.append(write, send_limit, key, done)
        return accepted, answer

    def again(self, write: HeldWrite) -> None:
        """A person wants ``write`` sent again: it becomes the newest of the queue."""
        moved = dataclasses.replace(write, position=self.take_position())
        self.waiting += 1
        self.waiting_bytes += write.body.length
        self.in_doubt = max(0, self.in_doubt - 1)
        # the failure of this step is never on_response: it is tried again until it is done
        self._journal.move(write.position, moved, lambda _error: self._accept(moved, None))

    def _accept(self, write: HeldWrite, send_limit: int | None) -> None:
        self.accepted += 1
        if send_limit is not None:
            self.send_limit = max(self.send_limit, send_limit)
        self.backlog.push(write)
        self.touch()

    def ask_later(self, position: int) -> bool:
        """Keep the answer, for a status URL; False where the answer is on its way already."""
        if position in self._recording:
            return False
        self._asked_later.add(position)
        return True

    def nobody_waits(self, position: int) -> None:
        """The client is gone; the write stays."""
        self._waiters.pop(position, None)

    # --- sending

    @property
    def in_flight(self) -> int:
        """Writes that were sent and have no answer yet."""
        return len(self._sent)

    def open_gate(self) -> None:
        """The guest is said to answer."""
        self.gate_open = True
        self.touch()

    def is_sent(self, write: HeldWrite) -> bool:
        """Whether it is on its way now."""
        return write.position in self._sent

    async def _move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def moved_after(self, moves: int, within: float | None) -> None:
        """Return when :attr:`moves` is greater, at the latest ``within`` seconds from now."""
        if self.moves != moves:
            return
        if within is None:
            await self._move()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._move()

    def touch(self) -> None:
        """Something has changed that may let a write go out."""
        self.moves += 1
        self._moved.set()

    def sending(self, write: HeldWrite) -> None:
        """Its first byte goes out now."""
        self.waiting -= 1
        self.waiting_bytes -= write.body.length
        self._sent.add(write.position)
        self.last_sent = max(self.last_sent, write.position)

    def not_sent(self, write: HeldWrite) -> None:
        """It did not go out, or must go out again. It keeps its place in the order."""
        self._sent.discard(write.position)
        self.waiting += 1
        self.waiting_bytes += write.body.length

    def begin_again(self, write: HeldWrite) -> None:
        """It leaves its place in the ordering and waits for its turn."""
        self.ordering.end(write.position)
        self.touch()

    def finish(self, write: HeldWrite, answer: GuestResponse, on_response: OnResponse) -> None:
        """The guest has answered: on disk first, then to the edge, then to whoever waits.

        The answer is in the progress log already.
        """
        position = write.position
        asked = position in self._asked_later
        # In a backlog, answers come quicker than the disk syncs: many share one sync.
        can_wait = self.backlog.has_more()
        keep = asked or write.has_status_url or write.client_key

        def done(_error: BaseException | None) -> None:
            self._recording.discard(position)
            self._asked_later.discard(position)
            self.answered += 1
            self.longest_wait = max(self.longest_wait, time.time() - write.accepted_at)
            waiter = self._waiters.pop(position, None)
            on_response(write, answer, lambda: _resolve(waiter, answer))
            self.touch()

        self._journal.record_response(write, answer, keep=keep, can_wait=can_wait, done=done)
        self._end(position)
        self._recording.add(position)
        self.touch()

    def abandon(self, write: HeldWrite | UnreadableWrite, why: str) -> None:
        """It was set quarantine, on disk: the queue goes on without it."""
        if isinstance(write, UnreadableWrite) or write.position not in self._sent:
            self.waiting -= 1
            if isinstance(write, HeldWrite):
                self.waiting_bytes -= write.body.length
            if self.waiting == 0:
                self.waiting_bytes = 0  # the size of a damaged record is not known
        else:
            self.in_doubt += 1
        self._end(write.position)
        waiter = self._waiters.pop(write.position, None)
        if waiter is not None and not waiter.done():
            waiter.set_exception(QuarantinedError(why))
        self.touch()

    def _end(self, position: int) -> None:
        self._sent.discard(position)
        self.ordering.end(position)

    def _leave(self, write: HeldWrite) -> None:
        self.waiting -= 1
        self.waiting_bytes -= write.body.length
        self.touch()

    # --- looking

    @property
    def unrecorded(self) -> int:
        """Answers that are not yet on disk."""
        return len(self._recording)

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is in flight, all answers are on disk."""
        return self.waiting == 0 and self.in_flight == 0 and not self._recording

    async def drained(self) -> None:
        """Return at the first instant at which the queue is idle."""
        while not self.idle:
            self._moved.clear()
            await self._moved.wait()

    async def quiet(self) -> None:
        """Return when nothing is in flight and all answers are on disk."""
        while self.in_flight or self._recording:
            self._moved.clear()
            await self._moved.wait()

    def counts(self) -> WriteCounts:
        """Where the writes are."""
        return WriteCounts(
            accepted=self.accepted,
            waiting=self.waiting,
            in_flight=self.in_flight + len(self._recording),
            in_doubt=self.in_doubt,
            answered=self.answered,
            longest_wait=self.longest_wait,
        )

    def reopen(self, service: Service) -> None:
        """The service is opened again: its counts begin anew."""
        self.service = dataclasses.replace(service)
        self.accepted = self.answered = 0
        self.longest_wait = 0.0
