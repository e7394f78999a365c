"""Sends one service's line to its guest, in order (``traffic.py``), each write once.

What it does when a connection breaks between "sent" and "answered" is the promise to users: a write
whose method is idempotent, or whose service honours keys, goes out again before any later one; any
other is set aside for a person, and later ones go on, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.queries import Unreadable
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.line import Line, Told
from nova_cachemig.agent.replay.message import head, under_way
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import GuestAnswer, HeldWrite, WriteState

LOG = logging.getLogger(__name__)

# A paused guest loses SYNs, and TCP would try again after 1, 3, 7 s. Short attempts find it sooner;
# they grow for guests that are far away.
_FIRST_ATTEMPT: Final = 0.1  # seconds
_LAST_ATTEMPT: Final = 1.0
_REFUSED_PAUSE: Final = 0.02  # seconds before the next attempt where the last one failed at once
_DISK_PAUSE: Final = 0.2  # seconds before the next try where progress cannot be logged
# A guest that answers within this time is sent one write after the other, on one connection: to
# open connections costs it more than it gains. For a slower one another is opened each time.
_PROMPT: Final = 0.02  # seconds
_LOOKAHEAD: Final = 64  # writes among which those are found that may go side by side
_MAX_UNSETTLED: Final = 256  # answers that wait for the disk: bounds the memory they take


class Sender:
    """The one that sends for one service."""

    def __init__(self, journal: Journal, line: Line, conf: cfg.ConfigOpts, told: Told) -> None:
        self._journal = journal
        self._line = line
        self._told = told
        self._reuse_idle: float = conf.journal.reuse_idle
        self._answer_timeout: float = conf.journal.answer_timeout
        self._max_answer: int = conf.journal.max_answer
        self._source: str | None = conf.journal.replay_source
        self._target: Target | None = None
        self._opened_at = 0.0
        self._changed = asyncio.Event()  # the gate or the target
        self._idle: list[guest.GuestConnection] = []
        self._busy: dict[guest.GuestConnection, float] = {}  # → loop time of the last sending
        self._task: asyncio.Task[None] | None = None
        self._lanes: set[asyncio.Task[None]] = set()
        self._watchdog: asyncio.TimerHandle | None = None
        self._extending: asyncio.Future[None] | None = None

    @property
    def target(self) -> Target | None:
        """Where the guest was last said to answer."""
        return self._target

    def start(self) -> None:
        """Begin; nothing goes out before :meth:`send_to`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"replay {self._line.service.name}")
            self._watch()

    def send_to(self, target: Target) -> None:
        """The guest answers here."""
        self._target = target
        self._line.open_gate()
        self._opened_at = asyncio.get_running_loop().time()
        self._changed.set()

    def hold(self) -> None:
        """Send no further write; one in flight keeps waiting for its answer."""
        self._line.gate_open = False
        self._changed.set()

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
        tasks = [*self._lanes, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None
        for connection in [*self._idle, *self._busy]:
            connection.close()

    # --- the task

    async def _run(self) -> None:
        waiting: list[HeldWrite] = []
        backlog = self._line.backlog
        while True:
            while not waiting or (len(waiting) < _LOOKAHEAD and backlog.more()):
                write = await backlog.next()
                if isinstance(write, Unreadable):
                    await self._guarded(write)
                else:
                    waiting.append(write)
            chosen = self._line.start(waiting, 1)
            if not chosen:
                await self._line.moved()
                continue
            waiting.remove(chosen[0])
            self._begin(chosen[0])
            await self._line.moved_within(_PROMPT)

    def _begin(self, write: HeldWrite) -> None:
        lane = asyncio.create_task(self._guarded(write), name=f"replay {write.name}")
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    async def _guarded(self, write: HeldWrite | Unreadable) -> None:
        while True:
            try:
                if isinstance(write, Unreadable):
                    await self._set_aside(write, WriteState.DAMAGED, write.why)
                else:
                    await self._deliver(write)
            except Exception:
                # Our own fault. The write must neither vanish nor block the line for ever.
                LOG.exception("Replay of %s/%s failed; again in 1 s", write.service, write.position)
                await asyncio.sleep(1.0)
                if isinstance(write, HeldWrite) and not self._line.is_sent(write):
                    continue
                why = "the agent failed; see its log"
                await self._set_aside(write, WriteState.IN_DOUBT, why)
            return

    async def _deliver(self, write: HeldWrite) -> None:
        spool = self._journal.spool
        if write.body.spool and not await asyncio.to_thread(spool.intact, write.body):
            why = f"write {write.name}: its spool file {write.body.spool} is damaged"
            await self._set_aside(write, WriteState.DAMAGED, why)
            return
        patience = asyncio.get_running_loop().time() + self._answer_timeout
        while True:
            connection = await self._ready(write)
            try:
                self._journal.sent(write)
            except OSError as exc:
                LOG.error("Nothing is sent: progress cannot be logged: %s", exc)
                self._idle.append(connection)
                await asyncio.sleep(_DISK_PAUSE)
                continue
            self._line.sending(write)
            self._busy[connection] = asyncio.get_running_loop().time()
            try:
                answer = await connection.exchange(head(write), write.body, self._chunks(write))
            except guest.NotSent:
                self._line.not_sent(write)
                continue
            except guest.ConnectionLost as exc:
                if await self._lost(write, exc):
                    continue
                return
            else:
                self._idle.append(connection)
            finally:
                self._busy.pop(connection, None)
            if await self._under_way(write, answer, patience):
                continue
            self._line.finish(write, answer, self._told)
            return

    async def _under_way(self, write: HeldWrite, answer: GuestAnswer, patience: float) -> bool:
        """Whether the write goes out again later: the guest still deals with its first try."""
        later = under_way(write, answer)
        if later is None or asyncio.get_running_loop().time() >= patience:
            return False
        self._line.not_sent(write)
        await asyncio.sleep(later)
        return True

    async def _lost(self, write: HeldWrite, exc: guest.ConnectionLost) -> bool:
        """Whether the write goes out again."""
        if write.resendable:
            LOG.warning("%s %s goes out again: %s", write.method, write.name, exc)
            self._line.not_sent(write)
            return True
        why = f"{exc}; {write.method} may not be sent twice and the service honours no keys"
        await self._set_aside(write, WriteState.IN_DOUBT, why)
        return False

    async def _set_aside(self, write: HeldWrite | Unreadable, state: WriteState, why: str) -> None:
        LOG.warning("Write %s/%s set aside: %s", write.service, write.position, why)
        await self._journal.set_aside(write.service, write.position, state, why)
        self._line.abandon(write, why)
        if isinstance(write, HeldWrite):
            self._told(write, None, lambda: None)

    async def _ready(self, write: HeldWrite) -> guest.GuestConnection:
        """Wait until the write may go out, and on which connection."""
        line = self._line
        while True:
            if not line.gate_open or self._target is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            if write.position > line.through:
                await self._extend(write.position, urgent=True)
                continue
            if line.unsettled >= _MAX_UNSETTLED:
                await asyncio.sleep(0.001)
                continue
            if line.through - write.position < line.window // 2 and line.backlog.ready():
                self._extend(write.position, urgent=False)  # ahead of need: nobody waits for it
            while self._idle:
                connection = self._idle.pop()
                if connection.usable(self._target, self._reuse_idle):
                    return connection
                connection.close()
            fresh = await self._connect(self._target)
            if fresh is not None:
                self._idle.append(fresh)  # the gate may have closed meanwhile: look again

    def _extend(self, position: int, *, urgent: bool) -> asyncio.Future[None]:
        if self._extending is not None and not self._extending.done() and not urgent:
            return self._extending
        line = self._line
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        top = position + line.window - 1

        def done(_error: BaseException | None) -> None:
            line.through = max(line.through, top)
            if not future.done():
                future.set_result(None)

        self._extending = future
        if top <= line.through:
            future.set_result(None)
        else:
            self._journal.extend(line.service.name, top, done, urgent=urgent)
        return future

    async def _connect(self, target: Target) -> guest.GuestConnection | None:
        """Try until it is there; None if the gate closes or the target changes before."""
        timeout = _FIRST_ATTEMPT
        while self._line.gate_open and self._target == target:
            self._changed.clear()
            attempt = asyncio.ensure_future(
                guest.connect(
                    target,
                    source=self._source,
                    user_timeout=self._answer_timeout,
                    max_answer=self._max_answer,
                )
            )
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait(
                    {attempt, changed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                changed.cancel()
                if not attempt.done():
                    attempt.cancel()
            if not attempt.done():
                await asyncio.gather(attempt, return_exceptions=True)
            if attempt.cancelled():
                timeout = _FIRST_ATTEMPT if changed.done() else min(timeout * 1.5, _LAST_ATTEMPT)
                continue
            if (error := attempt.exception()) is None:
                return attempt.result()
            LOG.debug("Guest of %s: %s", self._line.service.name, error)
            await asyncio.sleep(_REFUSED_PAUSE)
        return None

    def _watch(self) -> None:
        """Give up a connection on which the guest is silent although it is said to answer."""
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(min(self._answer_timeout / 4, 5.0), self._watch)
        if not self._line.gate_open:
            return
        for connection, sent_at in self._busy.items():
            silent = loop.time() - max(connection.last_byte, sent_at, self._opened_at)
            if silent >= self._answer_timeout:
                LOG.warning("The guest is silent for %.0f s: its connection is given up", silent)
                connection.close()

    async def _chunks(self, write: HeldWrite) -> AsyncIterator[bytes]:
        if write.body.spool is None:
            return
        chunks = self._journal.spool.read(write.body.spool)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk
