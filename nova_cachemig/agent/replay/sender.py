"""Sends one service's line to its guest, in order (``traffic.py``), each write once.

Here: whether anything goes out at all, and what goes next where nothing has just been answered.
What becomes of a write that is on its way is in ``flight.py``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.aside import Aside
from nova_cachemig.agent.replay.flight import MAX_UNSETTLED, Flights
from nova_cachemig.agent.replay.hand import Hand
from nova_cachemig.agent.replay.lanes import Lanes
from nova_cachemig.agent.replay.line import Line, Told
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
        self._answer_timeout: float = conf.journal.answer_timeout
        self._lanes = Lanes(conf, line.service.name)
        self._aside = Aside(journal, line, told)
        self._hand = Hand(line, self._aside, journal.spool)
        self._flights = Flights(
            journal, line, self._lanes, self._hand, self._aside, told, self._answer_timeout
        )
        self._task: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._extending: asyncio.Future[None] | None = None
        self._extending_to = 0

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
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._line.backlog.stop()
        await self._aside.stop()
        self._flights.stop()
        self._lanes.close()

    # --- which write goes next, and on which connection

    async def _run(self) -> None:
        line = self._line
        while True:
            moves = line.moves
            try:
                await self._hand.fill()
                write = line.traffic.next(self._hand.writes, line.service)
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

    async def _begin(self, write: HeldWrite, connection: guest.GuestConnection) -> None:
        try:
            self._flights.begin(write, connection)
        except guest.NotSent as exc:
            LOG.debug("%s goes out on another connection: %s", write.name, exc)
        except OSError as exc:
            LOG.error("Nothing is sent: progress cannot be logged: %s", exc)
            await asyncio.sleep(_DISK_PAUSE)

    async def _place(self, write: HeldWrite) -> guest.GuestConnection | None:
        """The connection on which it may go out now, if any.

        Anything may have changed when this had to wait: then there is none, and the line moved.
        """
        line, lanes = self._line, self._lanes
        if not lanes.gate_open or line.unsettled >= MAX_UNSETTLED:
            return None
        if write.position > line.through:
            await asyncio.gather(self._extend(write.position), self._first_lane())
            return None
        if line.through - write.position < line.window // 4 and line.backlog.more():
            self._extend(write.position)  # ahead of need: nobody waits for it
        if line.traffic.total and len(line.traffic):
            return lanes.joined(write, len(line.traffic))
        connection = lanes.idle()
        if connection is None and lanes.busy:
            connection = lanes.joined(write)
            if connection is None and self._now() - self._flights.began_at < guest.PROMPT:
                return None  # to open connections costs such a guest more than it gains
        if connection is None:
            await lanes.open()
            line.touch()
        return connection

    async def _first_lane(self) -> None:
        """Have a connection by the time at which the disk has the mark."""
        if not self._lanes.busy and self._lanes.idle() is None:
            await self._lanes.open()

    def _extend(self, position: int) -> asyncio.Future[None]:
        """Let ``window`` writes from this one on be sent; done when that is on disk."""
        line = self._line
        if self._extending is not None and position <= self._extending_to:
            return self._extending
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        top = position + line.window - 1

        def done(_error: BaseException | None) -> None:
            line.through = max(line.through, top)
            line.touch()
            self._extending = None
            if not future.done():
                future.set_result(None)

        self._extending, self._extending_to = future, top
        self._journal.extend(line.service.name, top, done)
        return future

    # --- the rest

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = loop.call_later(min(self._answer_timeout / 4, 5.0), self._watch)
        self._lanes.close_silent()
