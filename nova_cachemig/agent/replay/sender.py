"""Sends one service's line to its guest, in order (``traffic.py``), each write once.

What it does when a connection breaks between "sent" and "answered" is the promise to users: a write
whose method is idempotent, or whose service honours keys, goes out again before any later one; any
other is set aside for a person, and later ones go on, in order.
"""

from __future__ import annotations

import asyncio
import bisect
import functools
import logging
from collections.abc import AsyncIterator
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.queries import Unreadable
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.lanes import Lanes
from nova_cachemig.agent.replay.line import Line, Told
from nova_cachemig.agent.replay.message import head, under_way
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import GuestAnswer, HeldWrite, WriteState

LOG = logging.getLogger(__name__)

_DISK_PAUSE: Final = 0.2  # seconds before the next try where progress cannot be logged
_LOOKAHEAD: Final = 64  # writes among which those are found that may go side by side
_MAX_UNSETTLED: Final = 256  # answers that wait for the disk: bounds the memory they take
_OUR_FAULT_PAUSE: Final = 1.0  # seconds


class Sender:
    """The one that sends for one service."""

    def __init__(
        self,
        journal: Journal,
        line: Line,
        conf: cfg.ConfigOpts,
        told: Told,
        settle: float = 0.0,
    ) -> None:
        """``settle``: seconds after the guest's return before anything goes out the first time.

        After a crash of the agent the guest may still deal with what it was sent before.
        """
        self._rest = settle
        self._settling: asyncio.TimerHandle | None = None
        self._journal = journal
        self._line = line
        self._told = told
        self._answer_timeout: float = conf.journal.answer_timeout
        self._lanes = Lanes(conf, line.service.name)
        self._waiting: list[HeldWrite] = []  # in their order, not on their way
        self._ask_until: dict[int, float] = {}  # of those that the guest still deals with
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # for writes that are set aside
        self._stopped = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._extending: asyncio.Future[None] | None = None
        self._began_at = 0.0  # loop time at which a write was last sent

    @property
    def target(self) -> Target | None:
        """Where the guest was last said to answer."""
        return self._lanes.target

    def start(self) -> None:
        """Begin; nothing goes out before :meth:`send_to`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"replay {self._line.service.name}")
            self._watch()

    def send_to(self, target: Target) -> None:
        """The guest answers here."""
        self._stop_settling()
        if self._rest:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(self._rest, self._settled, target)
            return
        self._lanes.send_to(target)
        self._line.open_gate()

    def _settled(self, target: Target) -> None:
        self._rest = 0.0
        self.send_to(target)

    def _stop_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def hold(self) -> None:
        """Send no further write; one in flight keeps waiting for its answer."""
        self._stop_settling()
        self._line.gate_open = False
        self._lanes.hold()

    async def stop(self, patience: float) -> None:
        """Stop; a write in flight has ``patience`` seconds to be answered."""
        self.hold()
        try:
            async with asyncio.timeout(patience):
                await self._line.quiet()
        except TimeoutError:
            LOG.warning("%s: stopped with a write in flight", self._line.service.name)
        if self._watchdog is not None:
            self._watchdog.cancel()
        tasks = [*self._tasks, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        self._stopped = True  # what is in flight stays so: the next start finds it on disk
        self._lanes.close()

    # --- which write goes next, and on which connection

    async def _run(self) -> None:
        line = self._line
        while True:
            moves = line.moves
            try:
                await self._gather()
                write = line.traffic.next(self._waiting, line.service)
                connection = await self._place(write) if write is not None else None
                if write is not None and connection is not None:
                    await self._begin(write, connection)
                    continue
            except Exception:
                LOG.exception("Replay to %s failed; again in 1 s", line.service.name)
                await asyncio.sleep(_OUR_FAULT_PAUSE)
                continue
            # With a write at hand: a guest that takes long may be given another connection.
            slow = write is not None and self._lanes.busy and not line.traffic.total
            await line.moved_after(moves, guest.PROMPT if slow else None)

    async def _gather(self) -> None:
        """Take up the next write, and those that may go beside it, if there are any."""
        backlog = self._line.backlog
        most = 1 if self._line.traffic.total else _LOOKAHEAD
        while len(self._waiting) < most and backlog.more():
            write = await backlog.take()
            if isinstance(write, Unreadable):
                await self._settle(write, WriteState.DAMAGED, write.why)
            elif write is not None and not await self._intact(write):
                why = f"write {write.name}: its spool file {write.body.spool} is damaged"
                await self._settle(write, WriteState.DAMAGED, why)
            elif write is not None:
                self._wait(write)

    async def _intact(self, write: HeldWrite) -> bool:
        spool = self._journal.spool
        return write.body.spool is None or await asyncio.to_thread(spool.intact, write.body)

    async def _place(self, write: HeldWrite) -> guest.GuestConnection | None:
        """The connection on which it may go out now, if any.

        Anything may have changed when this had to wait: then there is none, and the line moved.
        """
        line, lanes = self._line, self._lanes
        if not lanes.gate_open or line.unsettled >= _MAX_UNSETTLED:
            return None
        if write.position > line.through:
            await asyncio.gather(self._extend(write.position, urgent=True), self._first_lane())
            return None
        if line.through - write.position < line.window // 2 and line.backlog.ready():
            self._extend(write.position, urgent=False)  # ahead of need: nobody waits for it
        if line.traffic.total and len(line.traffic):
            return lanes.joined(write, len(line.traffic))
        connection = lanes.idle()
        if connection is None and lanes.busy:
            connection = lanes.joined(write)
            if connection is None and self._now() - self._began_at < guest.PROMPT:
                return None  # to open connections costs such a guest more than it gains
        if connection is None:
            await lanes.open()
            line.touch()
        return connection

    async def _first_lane(self) -> None:
        """Have a connection by the time at which the disk has the mark."""
        if not self._lanes.busy and self._lanes.idle() is None:
            await self._lanes.open()

    def _extend(self, position: int, *, urgent: bool) -> asyncio.Future[None]:
        if self._extending is not None and not self._extending.done() and not urgent:
            return self._extending
        line = self._line
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        top = position + line.window - 1

        def done(_error: BaseException | None) -> None:
            line.through = max(line.through, top)
            line.touch()
            if not future.done():
                future.set_result(None)

        self._extending = future
        if top <= line.through:
            future.set_result(None)
        else:
            self._journal.extend(line.service.name, top, done, urgent=urgent)
        return future

    # --- one write

    async def _begin(self, write: HeldWrite, connection: guest.GuestConnection) -> None:
        request = head(write) + write.body.data
        try:
            self._journal.sent(write)
        except OSError as exc:
            LOG.error("Nothing is sent: progress cannot be logged: %s", exc)
            await asyncio.sleep(_DISK_PAUSE)
            return
        self._waiting.remove(write)
        self._line.traffic.begin(write)
        self._line.sending(write)
        self._lanes.take(connection, write)
        self._began_at = self._now()
        try:
            answer = (
                connection.send(request)
                if write.body.spool is None
                else asyncio.ensure_future(connection.upload(request, self._chunks(write)))
            )
        except guest.NotSent:
            self._lanes.leave(connection, write)
            self._again(write)
        else:
            answer.add_done_callback(functools.partial(self._ended, write, connection))

    def _ended(
        self,
        write: HeldWrite,
        connection: guest.GuestConnection,
        answer: asyncio.Future[GuestAnswer],
    ) -> None:
        if self._stopped:
            return
        error = answer.exception()
        if isinstance(error, guest.ConnectionLost):
            self._lanes.lost(connection)
        elif error is not None and not isinstance(error, guest.NotSent):
            connection.close()  # it may be in the midst of a body
        self._lanes.leave(connection, write)
        try:
            if error is None:
                self._answered(write, answer.result())
            else:
                self._lost(write, error)
        except Exception as exc:
            # Our own fault. The write must neither vanish nor block the line for ever.
            LOG.exception("Replay of %s failed", write.name)
            self._set_aside(write, f"the agent failed: {exc!r}")

    def _answered(self, write: HeldWrite, answer: GuestAnswer) -> None:
        later, now = under_way(write, answer), self._now()
        if later is None or now >= self._ask_until.setdefault(
            write.position, now + self._answer_timeout
        ):
            self._ask_until.pop(write.position, None)
            self._line.finish(write, answer, self._told)
            return
        # The guest still deals with its first try. None that it keeps waiting overtakes it.
        self._line.not_sent(write)
        asyncio.get_running_loop().call_later(later, self._wait_again, write)

    def _lost(self, write: HeldWrite, error: BaseException) -> None:
        if isinstance(error, guest.NotSent):
            self._again(write)
        elif isinstance(error, guest.ConnectionLost) and write.resendable:
            LOG.warning("%s %s goes out again: %s", write.method, write.name, error)
            self._again(write)
        elif isinstance(error, guest.ConnectionLost):
            why = f"{error}; {write.method} may not be sent twice and the service honours no keys"
            self._set_aside(write, why)
        else:
            LOG.error("Replay of %s failed", write.name, exc_info=error)
            self._set_aside(write, f"the agent failed: {error!r}")

    def _again(self, write: HeldWrite) -> None:
        self._line.not_sent(write)
        self._wait_again(write)

    def _wait_again(self, write: HeldWrite) -> None:
        self._wait(write)
        self._line.begin_again(write)

    def _wait(self, write: HeldWrite) -> None:
        bisect.insort(self._waiting, write, key=lambda held: held.position)

    # --- setting aside

    def _set_aside(self, write: HeldWrite, why: str) -> None:
        """Leave it to a person; it keeps its place in the traffic until that is on disk."""
        task = asyncio.create_task(
            self._settle(write, WriteState.IN_DOUBT, why), name=f"set aside {write.name}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, write: HeldWrite | Unreadable, state: WriteState, why: str) -> None:
        LOG.warning("Write %s/%s set aside: %s", write.service, write.position, why)
        while True:
            try:
                await self._journal.set_aside(write.service, write.position, state, why)
            except Exception:
                LOG.exception("%s/%s: again in 1 s", write.service, write.position)
                await asyncio.sleep(_OUR_FAULT_PAUSE)
            else:
                break
        self._line.abandon(write, why)
        if isinstance(write, HeldWrite):
            self._told(write, None, lambda: None)

    # --- the rest

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(min(self._answer_timeout / 4, 5.0), self._watch)
        self._lanes.close_silent()

    async def _chunks(self, write: HeldWrite) -> AsyncIterator[bytes]:
        if write.body.spool is None:
            return
        chunks = self._journal.spool.read(write.body.spool)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk
