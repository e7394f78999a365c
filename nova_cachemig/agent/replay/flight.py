"""One write's way: out to the guest, and what becomes of it when the guest has answered, or not.

The guest deals with one write at a time where none may go behind another, so what it waits for is
the time from its answer to the next write. When an answer comes in, it is logged, and the next
write goes out in the same turn of the loop with all that may go behind it
(:meth:`Flights._follow`); all else that is to be done for the answer is done while the guest is
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
from nova_cachemig.agent.replay.aside import Aside
from nova_cachemig.agent.replay.hand import Hand
from nova_cachemig.agent.replay.lanes import Lanes
from nova_cachemig.agent.replay.line import Line, Told
from nova_cachemig.agent.replay.message import under_way
from nova_cachemig.model.write import GuestAnswer, HeldWrite

LOG = logging.getLogger(__name__)

MAX_UNSETTLED: Final = 256  # answers that wait for the disk: bounds the memory they take


class Flights:
    """The writes of one line that are on their way."""

    def __init__(
        self,
        journal: Journal,
        line: Line,
        lanes: Lanes,
        hand: Hand,
        aside: Aside,
        told: Told,
        answer_timeout: float,
    ) -> None:
        """``answer_timeout``: seconds for which a guest that still deals with a write is asked."""
        self._journal = journal
        self._line = line
        self._lanes = lanes
        self._hand = hand
        self._aside = aside
        self._told = told
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
        request = self._hand.request(write)
        self._journal.sent(write)
        ended = functools.partial(self._ended, write, connection)
        if write.body.spool is None:
            connection.send(request, ended)
        else:
            upload = asyncio.ensure_future(connection.upload(request, self._chunks(write)))
            upload.add_done_callback(lambda task: ended(task.exception() or task.result()))
        self._hand.drop(write)
        self._line.traffic.begin(write)
        self._line.sending(write)
        self._lanes.take(connection, write)
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
        end: GuestAnswer | BaseException,
    ) -> None:
        if self._stopped:
            return
        try:
            if isinstance(end, GuestAnswer):
                self._answered(write, connection, end)
            else:
                self._broken(write, connection, end)
        except Exception as exc:
            # Our own fault. The write must neither vanish nor block the line for ever.
            LOG.exception("Replay of %s failed", write.name)
            self._lanes.leave(connection, write)
            self._aside.begin(write, f"the agent failed: {exc!r}")

    def _answered(
        self, write: HeldWrite, connection: guest.GuestConnection, answer: GuestAnswer
    ) -> None:
        later, now = under_way(write, answer), self._loop.time()
        if later is None or now >= self._ask_until.setdefault(
            write.position, now + self._answer_timeout
        ):
            self._ask_until.pop(write.position, None)
            if self._journal.answered(write, answer):
                self._follow(write, connection)
            self._lanes.leave(connection, write)
            self._line.finish(write, answer, self._told)
            return
        # The guest still deals with its first try. None that it keeps waiting overtakes it.
        self._lanes.leave(connection, write)
        self._line.not_sent(write)
        self._loop.call_later(later, self._wait_again, write)

    def _follow(self, answered: HeldWrite, connection: guest.GuestConnection) -> None:
        """Send what may go next where an answer has come in, unless there is something to weigh.

        Whatever speaks against it is left to the sender's task: writes in flight elsewhere, a
        closed gate, a guest that moved, a mark that is not on disk, an upload. This sends what the
        task would have sent next, in one packet.
        """
        flying = self._lanes.others(connection, answered)
        elsewhere = len(self._line.traffic) > len(flying) + 1  # the one that was answered is in it
        if not self._line.traffic.total or elsewhere or not self._lanes.free(connection):
            return
        try:
            while (write := self._next(connection, flying)) is not None:
                self.begin(write, connection)
                flying.append(write)
        except OSError as exc:
            LOG.debug("The next write of %s is not sent at once: %s", self._line.service.name, exc)
        finally:
            connection.flush()

    def _next(
        self, connection: guest.GuestConnection, flying: Sequence[HeldWrite]
    ) -> HeldWrite | None:
        write = self._hand.first
        if (
            write is None
            or write.position > self._line.through
            or self._line.unsettled >= MAX_UNSETTLED
            or write.body.spool is not None
            or (flying and not self._lanes.takes(connection, write, flying))
        ):
            return None
        return write

    def _broken(
        self, write: HeldWrite, connection: guest.GuestConnection, error: BaseException
    ) -> None:
        if isinstance(error, guest.ConnectionLost):
            self._lanes.lost(connection)
        elif not isinstance(error, guest.NotSent):
            connection.close()  # it may be in the midst of a body
        self._lanes.leave(connection, write)
        if isinstance(error, guest.NotSent):
            self._again(write)
        elif isinstance(error, guest.ConnectionLost) and write.resendable:
            LOG.warning("%s %s goes out again: %s", write.method, write.name, error)
            self._again(write)
        elif isinstance(error, guest.ConnectionLost):
            why = f"{error}; {write.method} may not be sent twice and the service honours no keys"
            self._aside.begin(write, why)
        else:
            LOG.error("Replay of %s failed", write.name, exc_info=error)
            self._aside.begin(write, f"the agent failed: {error!r}")

    def _again(self, write: HeldWrite) -> None:
        self._line.not_sent(write)
        self._wait_again(write)

    def _wait_again(self, write: HeldWrite) -> None:
        self._hand.put(write)
        self._line.begin_again(write)
