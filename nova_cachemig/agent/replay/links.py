"""The connections to one guest, by number: makes them, sends, and reports what comes back."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from oslo_config import cfg

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import connector, proxyline, sockets
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.connection import GuestConnection
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.agent.replay.request import ends_connection, head
from nova_cachemig.model.service import SendProxy, Target
from nova_cachemig.model.write import AcceptedWrite, GuestResponse

LOG = logging.getLogger(__name__)

# Requests in flight at the guest's pause are lost. TCP is made to retransmit them at the guest's
# return, and again if that is lost too: the switches may still be learning the guest's new place. A
# slow request is never sent again on another connection: a guest that has it, and has not responded
# yet, would apply it twice.
_RETRANSMIT_INTERVAL: Final = 0.02  # seconds
_RETRANSMIT_FOR: Final = 2.0  # seconds after the return; TCP's own timers have expired by then


class Events(Protocol):
    """The reports of the connections. None comes while :class:`Links` is being called."""

    def on_connected(self, name: int, target: Target) -> None:
        """There is a new connection."""

    def on_part(self, name: int) -> None:
        """A part of a response has arrived."""

    def on_response(
        self, name: int, response: GuestResponse, *, keep_alive: bool, idle_timeout: float | None
    ) -> None:
        """The guest has responded to the oldest request of a connection."""

    def on_end(self, name: int, end: End) -> None:
        """A connection has ended, and :meth:`Links.close` did not ask for it."""


class Links:
    """Call it in the event loop's thread."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        journal: Journal,
        bodies: ResponseBodies,
        events: Events,
        send_proxy: Callable[[], SendProxy | None] = lambda: None,
    ) -> None:
        """``send_proxy``: the version of the PROXY protocol that the guest expects.

        Then each connection is used for one write.
        """
        self._conf = conf.journal
        self._journal = journal
        self._bodies = bodies
        self._events = events
        self._send_proxy = send_proxy
        self._loop = asyncio.get_running_loop()
        self._names = itertools.count(1)
        self._open: dict[int, GuestConnection] = {}
        self._uploads: dict[int, asyncio.Task[None]] = {}
        self._unflushed: set[GuestConnection] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._retransmit: asyncio.TimerHandle | None = None
        self._retransmit_until = 0.0
        self._closes_unused = False  # the last connection was closed before it brought a response

    # --- connecting

    def connect(self, target: Target) -> None:
        """Begin to connect."""
        self.stop_connecting()
        self._connecting = self._loop.create_task(self._connect(target), name=f"connect {target}")

    def stop_connecting(self) -> None:
        """Give up what :meth:`connect` has begun."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    async def _connect(self, target: Target) -> None:
        if self._closes_unused:  # else it would connect in a loop to a guest that closes
            await asyncio.sleep(connector.REFUSED_PAUSE)
        attempt = functools.partial(
            sockets.connect,
            target,
            source=self._conf.replay_source,
            max_response=self._conf.max_response,
            bodies=self._bodies,
        )
        connection = await connector.connect(attempt)
        self._connecting = None
        name = next(self._names)
        self._open[name] = connection
        self._events.on_connected(name, target)
        connection.watch(
            functools.partial(self._events.on_part, name),
            functools.partial(self._on_end, name, connection),
        )

    def _on_end(self, name: int, connection: GuestConnection, end: End) -> None:
        self._closes_unused = not connection.served
        if self._forget(name) is not None:
            self._events.on_end(name, end)

    def _forget(self, name: int) -> GuestConnection | None:
        connection, upload = self._open.pop(name, None), self._uploads.pop(name, None)
        # A guest may need the whole request for the rest of its response.
        if upload is not None and not (connection is not None and connection.streaming):
            upload.cancel()
        return connection

    # --- requests

    def send(self, name: int, write: AcceptedWrite) -> None:
        """Send a write, together with others of this turn. On a connection that has ended: do not.

        Then ``on_end`` follows, or was called already.
        """
        connection = self._open.get(name)
        if connection is None:
            return
        version = self._send_proxy()
        once = version is not None or ends_connection(write)
        on_response = functools.partial(self._on_response, name, connection, once)
        request = head(write) + write.body.data
        if version is not None:
            request = proxyline.header(version, write, connection.target) + request
        if write.body.spool is None:
            connection.queue(request, on_response)
            self._unflushed.add(connection)
            return
        upload = self._loop.create_task(
            connection.upload(request, self._chunks(write.body.spool), on_response),
            name=f"upload of {write.name}",
        )
        self._uploads[name] = upload
        upload.add_done_callback(functools.partial(self._on_uploaded, name, connection, write))

    def flush(self) -> None:
        """Write what was sent since the last call."""
        while self._unflushed:
            self._unflushed.pop().flush()

    async def _chunks(self, spool: str) -> AsyncIterator[bytes]:
        chunks = self._journal.spool.read(spool)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    def _on_uploaded(
        self,
        name: int,
        connection: GuestConnection,
        write: AcceptedWrite,
        task: asyncio.Task[None],
    ) -> None:
        if self._uploads.get(name) is task:
            del self._uploads[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            LOG.error("Cannot send the body of %s: %s", write.name, error)
            connection.close(f"the body could not be read: {error}")

    def _on_response(
        self, name: int, connection: GuestConnection, once: bool, response: GuestResponse
    ) -> None:
        if name in self._open:
            self._events.on_response(
                name,
                response,
                keep_alive=connection.open and not once,
                idle_timeout=connection.idle_timeout,
            )

    # --- the end

    def close(self, name: int) -> None:
        """Close a connection; nothing is reported."""
        connection = self._forget(name)
        if connection is not None:
            connection.close()

    def break_off(self, name: int, why: str) -> None:
        """Close a connection on which a response is overdue. → on_response or on_end"""
        connection = self._open.get(name)
        if connection is None:
            return
        LOG.warning("Closing the connection to %s: %s", connection.target.address, why)
        if connection.in_response:
            self._loop.call_soon(connection.cut_response)
        else:
            self._loop.call_soon(connection.close, why)

    def close_all(self) -> None:
        """Close every connection; nothing is reported."""
        self.stop_connecting()
        self.stop_retransmitting()
        for name in tuple(self._open):
            self.close(name)

    # --- lost segments

    def retransmit(self) -> None:
        """The guest is reachable again: make TCP retransmit, and look again for a while."""
        self.stop_retransmitting()
        self._retransmit_until = self._loop.time() + _RETRANSMIT_FOR
        self._loop.call_soon(self._retransmit_lost)

    def stop_retransmitting(self) -> None:
        """The guest is silent."""
        self._retransmit_until = 0.0
        if self._retransmit is not None:
            self._retransmit.cancel()
            self._retransmit = None

    def _retransmit_lost(self) -> None:
        if self._loop.time() >= self._retransmit_until:
            return
        for connection in self._open.values():
            if connection.has_lost_segments:
                connection.retransmit()
        self._retransmit = self._loop.call_later(_RETRANSMIT_INTERVAL, self._retransmit_lost)
