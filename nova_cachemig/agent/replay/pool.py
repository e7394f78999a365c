"""The connections to one guest, and which of them a write may use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.replay import sockets
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.agent.replay.ordering import may_pipeline
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import AcceptedWrite

LOG = logging.getLogger(__name__)

# A paused guest loses SYNs, and TCP would retransmit them after 1, 3 and 7 s. Staggered attempts
# find the guest sooner. Several stay open, because a guest that has just returned may be slow.
_FIRST_ATTEMPT: Final = 0.1  # seconds until the next attempt starts
_LAST_ATTEMPT: Final = 1.0
_MAX_ATTEMPTS: Final = 4  # open at a time
# Requests in flight at the guest's pause are lost. TCP is made to retransmit them at the guest's
# return, and again if that is lost too: the switches may still be learning the guest's new place. A
# slow request is never sent again on another connection: a guest that has it, and has not responded
# yet, would apply it twice.
_RETRANSMIT_INTERVAL: Final = 0.02  # seconds
_RETRANSMIT_FOR: Final = 2.0  # seconds after the return; TCP's own timers have expired by then
_REFUSED_PAUSE: Final = 0.02  # seconds before the next attempt if the last one failed


class ConnectionPool:
    """Call it in the event loop's thread."""

    def __init__(
        self, conf: cfg.ConfigOpts, name: str, bodies: ResponseBodies | None = None
    ) -> None:
        """``name``: the service's, for the log. ``bodies`` keeps the responses' bodies."""
        self._bodies = bodies
        self._name = name
        self._reuse_idle: float = conf.journal.reuse_idle
        self._response_timeout: float = conf.journal.response_timeout
        self._response_time: float = conf.journal.response_time
        self._max_response: int = conf.journal.max_response
        self._source: str | None = conf.journal.replay_source
        self._depth: int = conf.journal.pipeline
        self._idle: list[GuestConnection] = []
        self._busy: dict[GuestConnection, list[AcceptedWrite]] = {}  # → its writes in flight
        self._opened_at = 0.0  # loop time at which the gate was last opened
        self._held_at = 0.0  # loop time at which the gate was last closed
        self._pipelining = True
        self._closes_unused = False  # the last connection was closed before it brought a response
        self.target: Target | None = None
        self.gate_open = False
        self.changed = asyncio.Event()  # the gate or the target

    def send_to(self, target: Target) -> None:
        """The guest is reachable at ``target``: open the gate."""
        if not self.gate_open:
            self._pipelining = True  # a new chance after the guest has moved
            asyncio.get_running_loop().call_soon(self._retransmit_lost)
            self._opened_at = asyncio.get_running_loop().time()
        self.target = target
        self.gate_open = True
        self.changed.set()

    def hold(self) -> None:
        """The guest is silent: close the gate."""
        if self.gate_open:
            self._held_at = asyncio.get_running_loop().time()
            for connection in self._busy:
                connection.note_pause()
        self.gate_open = False
        self.changed.set()

    def was_open_since(self, at: float) -> bool:
        """Whether the gate is open and was so since the loop time ``at``."""
        return self.gate_open and self._opened_at <= at

    @property
    def busy_count(self) -> int:
        """Number of connections with writes in flight."""
        return len(self._busy)

    def find_pipelined(
        self, write: AcceptedWrite, in_flight: int | None = None
    ) -> GuestConnection | None:
        """Return a connection on which the write can be sent behind others, if there is one.

        ``in_flight``: the connection must have exactly so many, which keeps the total order.

        A response since the pause shows that the guest still has the connection. It may come
        before the gate opens. TCP then needs the next write: if the guest had the first of two
        writes at the pause, the response to it ends TCP's retransmissions. Only an acknowledgement
        of later bytes shows that the second write was lost.
        """
        for connection, ahead in self._busy.items():
            if (
                connection.open
                and connection.target == self.target
                and connection.silent_since > self._held_at  # it was used since the pause
                and (in_flight is None or in_flight == len(ahead))
                and self.can_pipeline(connection, write, ahead)
            ):
                return connection
        return None

    def can_pipeline(
        self, connection: GuestConnection, write: AcceptedWrite, ahead: Sequence[AcceptedWrite]
    ) -> bool:
        """Whether the write can be sent behind ``ahead``, the connection's writes in flight."""
        prompt = self._pipelining and connection.prompt
        return prompt and len(ahead) < self._depth and may_pipeline(write, ahead)

    def others_on(self, connection: GuestConnection, write: AcceptedWrite) -> list[AcceptedWrite]:
        """Return the connection's writes in flight other than ``write``."""
        return [other for other in self._busy.get(connection, ()) if other is not write]

    def in_flight(self) -> dict[GuestConnection, list[AcceptedWrite]]:
        """Return the connections with writes in flight, each with its writes."""
        return {connection: list(writes) for connection, writes in self._busy.items()}

    def find_idle(self) -> GuestConnection | None:
        """Return a usable connection without a write in flight, if there is one."""
        while self._idle and self.target is not None:
            connection = self._idle.pop()
            if connection.usable(self.target, self._reuse_idle):
                self._idle.append(connection)
                return connection
            # Without a pause, the agent would connect in a loop to a guest that closes immediately.
            self._closes_unused = not connection.served and not connection.open
            connection.close()
        return None

    def is_usable(self, connection: GuestConnection) -> bool:
        """Whether a connection that has just brought a response may get the next write."""
        return self.gate_open and connection.open and connection.target == self.target

    def assign(self, connection: GuestConnection, write: AcceptedWrite) -> None:
        """The write is in flight on this connection."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._busy.setdefault(connection, []).append(write)

    def release(self, connection: GuestConnection, write: AcceptedWrite) -> None:
        """The write is in flight on this connection no longer."""
        ahead = self._busy.get(connection, [])
        if write not in ahead:
            return
        ahead.remove(write)
        if not ahead:
            self._busy.pop(connection, None)
            if connection.open:
                self._idle.append(connection)
            else:
                self._closes_unused = not connection.served

    def record_loss(self, connection: GuestConnection) -> None:
        """The connection broke. The guest, or a proxy before it, may not support pipelining."""
        if self._pipelining and len(self._busy.get(connection, ())) > 1:
            LOG.warning("%s: pipelining is off; a connection gets one write at a time", self._name)
            self._pipelining = False

    async def open(self) -> None:
        """Open another connection. Returns without one if the gate or the target changes."""
        target, pause = self.target, _FIRST_ATTEMPT
        attempts: list[asyncio.Task[GuestConnection]] = []
        if self._closes_unused:
            await asyncio.sleep(_REFUSED_PAUSE)
        try:
            while self.gate_open and target is not None and self.target == target:
                self.changed.clear()
                if len(attempts) == _MAX_ATTEMPTS:
                    await self._cancel([attempts.pop(0)])
                attempts.append(asyncio.create_task(self._connect(target)))
                ended = await self._wait_for_attempt(attempts, pause)
                if any(self._keep(attempt) for attempt in ended):
                    return
                attempts = [attempt for attempt in attempts if attempt not in ended]
                if ended:
                    await asyncio.sleep(_REFUSED_PAUSE)
                else:
                    pause = min(pause * 1.5, _LAST_ATTEMPT)
        finally:
            await self._cancel(attempts)

    async def _connect(self, target: Target) -> GuestConnection:
        return await sockets.connect(
            target,
            source=self._source,
            user_timeout=self._response_timeout,
            max_response=self._max_response,
            bodies=self._bodies,
        )

    async def _wait_for_attempt(
        self, attempts: list[asyncio.Task[GuestConnection]], timeout: float
    ) -> list[asyncio.Task[GuestConnection]]:
        """Wait for an attempt, the gate, the target or the timeout; return the ended attempts."""
        changed = asyncio.create_task(self.changed.wait())
        try:
            await asyncio.wait(
                {*attempts, changed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        return [attempt for attempt in attempts if attempt.done()]

    def _keep(self, attempt: asyncio.Task[GuestConnection]) -> bool:
        if (error := attempt.exception()) is None:
            self._idle.append(attempt.result())
            return True
        LOG.debug("Cannot connect to the guest of %s: %s", self._name, error)
        return False

    async def _cancel(self, attempts: list[asyncio.Task[GuestConnection]]) -> None:
        for attempt in attempts:
            attempt.cancel()
        for result in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(result, GuestConnection) and result not in self._idle:
                result.close()

    def _retransmit_lost(self) -> None:
        """Make TCP retransmit lost segments now, and look again for a while."""
        if not self.gate_open:
            return
        for connection in self._busy:
            if connection.has_lost_segments:
                connection.retransmit()
        loop = asyncio.get_running_loop()
        if loop.time() < self._opened_at + _RETRANSMIT_FOR:
            loop.call_later(_RETRANSMIT_INTERVAL, self._retransmit_lost)

    def end_overdue(self) -> None:
        """Close connections on which a reachable guest is silent, or responds, for too long."""
        if not self.gate_open:
            return
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._busy):
            silent = now - max(connection.silent_since, self._opened_at)
            if silent >= self._response_timeout:
                LOG.warning(
                    "%s: the guest has been silent for %.0f s; closing its connection",
                    self._name,
                    silent,
                )
                connection.close()
            elif connection.responding_for(now, self._opened_at) >= self._response_time:
                LOG.warning("%s: a response of the guest takes too long; cutting it", self._name)
                connection.cut_response()

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._idle, *self._busy]:
            connection.close()
