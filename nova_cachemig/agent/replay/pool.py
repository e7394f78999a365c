"""The connections to one guest, and on which of them a write may go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.replay import connection as guest
from nova_cachemig.agent.replay.ordering import follows
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import HeldWrite

LOG = logging.getLogger(__name__)

# A paused guest loses SYNs, and TCP would try again after 1, 3, 7 s. Attempts that begin one after
# the other find it sooner. Several stay open: a guest that has just come back may be slow to
# answer.
_FIRST_ATTEMPT: Final = 0.1  # seconds until the next one
_LAST_ATTEMPT: Final = 1.0
_MOST_ATTEMPTS: Final = 4  # open at a time
# What was on its way when the guest fell silent is lost. TCP is made to repeat it when the guest is
# back, and again where that is lost too: the switches may still learn where the guest is now. The
# same request is never sent on another connection for being slow: a guest that has it, but has not
# said so yet, would apply it twice.
_REPEAT_EVERY: Final = 0.02  # seconds
_REPEAT_FOR: Final = 2.0  # seconds after the return; TCP by itself would have done it by then
_REFUSED_PAUSE: Final = 0.02  # seconds before the next attempt where the last one failed at once


class ConnectionPool:
    """For the event loop's thread. ``name``: the service's, for the log."""

    def __init__(self, conf: cfg.ConfigOpts, name: str) -> None:
        self._name = name
        self._reuse_idle: float = conf.journal.reuse_idle
        self._answer_timeout: float = conf.journal.answer_timeout
        self._max_answer: int = conf.journal.max_answer
        self._source: str | None = conf.journal.replay_source
        self._depth: int = conf.journal.pipeline
        self._idle: list[guest.GuestConnection] = []
        self._busy: dict[guest.GuestConnection, list[HeldWrite]] = {}
        self._opened_at = 0.0
        self._pipelining = True
        self.target: Target | None = None
        self.gate_open = False
        self.changed = asyncio.Event()  # the gate or the target

    def send_to(self, target: Target) -> None:
        """The guest answers here."""
        if not self.gate_open:
            self._pipelining = True  # what it did before it moved is forgotten
            asyncio.get_running_loop().call_soon(self._repeat_lost)
        self.target = target
        self.gate_open = True
        self._opened_at = asyncio.get_running_loop().time()
        self.changed.set()

    def hold(self) -> None:
        """The guest is silent: nothing goes out."""
        self.gate_open = False
        self.changed.set()

    @property
    def busy(self) -> int:
        """Connections on which an answer is waited for."""
        return len(self._busy)

    def joined(self, write: HeldWrite, flying: int | None = None) -> guest.GuestConnection | None:
        """A connection on which it may follow those that are not answered yet.

        ``flying``: it must follow just so many, for the total order.
        """
        for connection, ahead in self._busy.items():
            if (
                connection.open
                and connection.target == self.target
                and connection.silent_since > self._opened_at  # it has come back
                and (flying is None or flying == len(ahead))
                and self.takes(connection, write, ahead)
            ):
                return connection
        return None

    def takes(
        self, connection: guest.GuestConnection, write: HeldWrite, ahead: Sequence[HeldWrite]
    ) -> bool:
        """Whether it may go out there behind these, which are not answered yet."""
        prompt = self._pipelining and connection.prompt
        return prompt and len(ahead) < self._depth and follows(write, ahead)

    def others(self, connection: guest.GuestConnection, write: HeldWrite) -> list[HeldWrite]:
        """What is on its way on this connection beside a write."""
        return [other for other in self._busy.get(connection, ()) if other is not write]

    def idle(self) -> guest.GuestConnection | None:
        """A connection on which nothing is under way."""
        while self._idle and self.target is not None:
            connection = self._idle.pop()
            if connection.usable(self.target, self._reuse_idle):
                self._idle.append(connection)
                return connection
            connection.close()
        return None

    def free(self, connection: guest.GuestConnection) -> bool:
        """Whether writes may go out at once where an answer has just come in."""
        return self.gate_open and connection.open and connection.target == self.target

    def take(self, connection: guest.GuestConnection, write: HeldWrite) -> None:
        """The write goes out on it."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._busy.setdefault(connection, []).append(write)

    def leave(self, connection: guest.GuestConnection, write: HeldWrite) -> None:
        """The write is answered, or will not be."""
        ahead = self._busy.get(connection, [])
        if write not in ahead:
            return
        ahead.remove(write)
        if not ahead:
            self._busy.pop(connection, None)
            if connection.open:
                self._idle.append(connection)

    def lost(self, connection: guest.GuestConnection) -> None:
        """It broke. A guest, or what stands before it, may not take several requests at once."""
        if self._pipelining and len(self._busy.get(connection, ())) > 1:
            LOG.warning("%s: one write at a time on a connection from now on", self._name)
            self._pipelining = False

    async def open(self) -> None:
        """Open another connection; none if the gate closes or the target changes before."""
        target, pause = self.target, _FIRST_ATTEMPT
        attempts: list[asyncio.Task[guest.GuestConnection]] = []
        try:
            while self.gate_open and target is not None and self.target == target:
                self.changed.clear()
                if len(attempts) == _MOST_ATTEMPTS:
                    await self._give_up([attempts.pop(0)])
                attempts.append(asyncio.create_task(self._connect(target)))
                ended = await self._first(attempts, pause)
                if any(self._keep(attempt) for attempt in ended):
                    return
                attempts = [attempt for attempt in attempts if attempt not in ended]
                if ended:
                    await asyncio.sleep(_REFUSED_PAUSE)
                else:
                    pause = min(pause * 1.5, _LAST_ATTEMPT)
        finally:
            await self._give_up(attempts)

    async def _connect(self, target: Target) -> guest.GuestConnection:
        return await guest.connect(
            target,
            source=self._source,
            user_timeout=self._answer_timeout,
            max_answer=self._max_answer,
        )

    async def _first(
        self, attempts: list[asyncio.Task[guest.GuestConnection]], pause: float
    ) -> list[asyncio.Task[guest.GuestConnection]]:
        """Those that have ended when one has, or the gate or target changed, or after ``pause``."""
        changed = asyncio.create_task(self.changed.wait())
        try:
            await asyncio.wait(
                {*attempts, changed}, timeout=pause, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        return [attempt for attempt in attempts if attempt.done()]

    def _keep(self, attempt: asyncio.Task[guest.GuestConnection]) -> bool:
        if (error := attempt.exception()) is None:
            self._idle.append(attempt.result())
            return True
        LOG.debug("Guest of %s: %s", self._name, error)
        return False

    async def _give_up(self, attempts: list[asyncio.Task[guest.GuestConnection]]) -> None:
        for attempt in attempts:
            attempt.cancel()
        for ended in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(ended, guest.GuestConnection) and ended not in self._idle:
                ended.close()

    def _repeat_lost(self) -> None:
        """Have TCP repeat what was repeated in vain, and look again for a while."""
        if not self.gate_open:
            return
        for connection in self._busy:
            if connection.stuck:
                connection.repeat()
        loop = asyncio.get_running_loop()
        if loop.time() < self._opened_at + _REPEAT_FOR:
            loop.call_later(_REPEAT_EVERY, self._repeat_lost)

    def close_silent(self) -> None:
        """Give up connections on which the guest is silent although it is said to answer."""
        if not self.gate_open:
            return
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._busy):
            silent = now - max(connection.silent_since, self._opened_at)
            if silent >= self._answer_timeout:
                LOG.warning("The guest is silent for %.0f s: its connection is given up", silent)
                connection.close()

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._idle, *self._busy]:
            connection.close()
