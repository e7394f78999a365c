"""One connection from the edge: requests and responses, one at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import Any, Final, Protocol, cast

import httptools

from nova_cachemig.agent.intake.admission import Arrival
from nova_cachemig.agent.intake.handler import RequestHandler
from nova_cachemig.agent.intake.http import SERVICE, RequestHead, Response, problem_response
from nova_cachemig.agent.intake.methods import MethodReader
from nova_cachemig.agent.intake.peer import Peer
from nova_cachemig.agent.intake.sender import ResponseSender
from nova_cachemig.agent.journal.upload import Upload
from nova_cachemig.model.secret import redact
from nova_cachemig.model.write import Body

LOG = logging.getLogger(__name__)

_MAX_HEAD: Final = 65536  # bytes of a request's head; HAProxy's default buffers are smaller
_ALIVE: Final = "/alive"  # the check of an edge that an older agent started
_LINGER: Final = 2.0  # seconds for which a refused body is read, so that the refusal arrives


class ConnectionOwner(Protocol):
    """The server that accepted a connection, as the connection uses it."""

    handler: RequestHandler
    connections: set[IntakeProtocol]

    def upload(self, service: str) -> Upload:
        """Start receiving a body for a service."""

    def read(self, body: Body) -> Iterator[bytes]:
        """Return the content of a response's spool file. The iterator blocks."""

    def release(self, chunks: Iterator[bytes]) -> None:
        """Close the file of :meth:`read`. Never waits."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work for which no connection waits."""


class IntakeProtocol(asyncio.Protocol):
    """The state of one connection: reading a request, handling it, or lingering."""

    def __init__(self, server: ConnectionOwner) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer = Peer()
        self._parser = httptools.HttpRequestParser(self)
        self.task: asyncio.Task[None] | None = None  # handles the current request
        self._sender = ResponseSender(server.read, server.release)
        self._lingering = False  # refused: the rest of the input is discarded
        self._holding = False  # the write is accepted, the response not yet there
        self._arrival: Arrival | None = None
        self._method = MethodReader()
        self._is_last = False  # what follows the current request is not HTTP, or came too early
        self.last_byte_at = self._loop.time()
        self._reset()

    def _reset(self) -> None:
        self._end_arrival()
        self._url = b""
        self._fields: list[tuple[str, str]] = []
        self._size = 0
        self._head: RequestHead | None = None
        self._upload: Upload | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._reading = False  # a request has begun and is not complete

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._sender.transport = self._peer.transport = self._transport
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self.last_byte_at = self._loop.time()
        if self._lingering or self._is_last:
            return
        if self.task is None:
            data = self._method.take(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as exc:
            if self.task is not None:
                self._is_last = True  # respond, then close: the client sends the rest again
            elif not self._lingering:  # if lingering, a callback has stopped the parser
                self._refuse(problem_response(400, f"Not HTTP/1.1: {exc}", close=True))

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._sender.stop()
        if self.task is not None:
            if self._holding:
                self.task.cancel()  # the write stays accepted, without a client
        elif self._upload is not None:
            self._drop_upload()
        self._transport = self._peer.transport = None

    def pause_writing(self) -> None:
        self._sender.writable.clear()

    def resume_writing(self) -> None:
        self._sender.writable.set()

    # --- httptools

    def on_message_begin(self) -> None:
        if self.task is not None:
            raise httptools.HttpParserError("a second request before the first response")
        self._reset()
        self._reading = True

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._size += len(url)
        if self._size > _MAX_HEAD:
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > _MAX_HEAD:
            self._refuse_head()
        if self._head is None:  # else a trailer, which may be discarded (RFC 9110, section 6.5.1)
            self._fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        method = self._method.own or self._parser.get_method().decode("ascii")
        self._head = RequestHead(
            method, self._url.decode("latin-1"), tuple(self._fields), self._peer.is_connected
        )
        if self._head.url == _ALIVE and self._head.get(SERVICE) is None:
            self._respond_alive()
            return
        refusal = self._server.handler.refuse(self._head)
        if refusal is not None:
            self._refuse(refusal)
            return
        self._upload = self._server.upload(self._head.get(SERVICE) or "")
        self._arrival = self._server.handler.arrival(self._head)
        if (self._head.get("expect") or "").lower() == "100-continue" and self._transport:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if self._upload is None:
            return
        due = self._upload.add(data)
        refusal = self._refusal_of(data, self._upload.length)
        if refusal is not None:
            self._drop_upload()
            self._refuse(refusal)
        elif due and self._flushing is None and self._transport is not None:
            self._transport.pause_reading()
            self._flushing = self._loop.create_task(self._flush(self._upload))

    def _refusal_of(self, data: bytes, length: int) -> Response | None:
        admission = self._server.handler.admission
        if length > admission.max_body:
            return admission.too_large()
        return None if self._arrival is None else self._arrival.receive(len(data))

    def _end_arrival(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.end()

    def on_message_complete(self) -> None:
        if self._lingering or self._head is None or self._upload is None:
            return
        self._reading = False
        self._method.begin()
        keep_alive = self._parser.should_keep_alive()
        upload, self._upload = self._upload, None
        self.task = self._loop.create_task(self._respond(self._head, upload, keep_alive))

    def _refuse_head(self) -> None:
        if not self._lingering:
            self._refuse(problem_response(431, f"The head exceeds {_MAX_HEAD} bytes.", close=True))
            raise httptools.HttpParserError("head too large")

    # ---

    def _respond_alive(self) -> None:
        """Show the edge that the event loop runs."""
        self._lingering, self._reading = True, False
        if self._transport is not None:
            self._transport.write(Response(204).head(keep_alive=False))
            self._transport.close()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Ignore an Upgrade (RFC 9110, section 7.8): feed the head again, because llhttp stops."""
        if self._lingering or self._head is None:
            return
        gone = {"upgrade", "connection", "http2-settings"}
        kept = [(name, value) for name, value in self._head.headers if name not in gone]
        lines = [f"{self._head.method} {self._head.url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in kept if name != "expect"]
        self.task = None if self.task is None or self.task.cancel() else self.task
        self._parser = httptools.HttpRequestParser(self)
        self._method.begin()
        self.data_received("\r\n".join([*lines, "", ""]).encode("latin-1") + rest)

    async def _flush(self, upload: Upload) -> None:
        try:
            await upload.flush()
        except OSError as exc:
            LOG.error("Cannot write the body of a request: %s", exc)
            self._drop_upload()
            self._refuse(_no_room(close=True))
        finally:
            self._flushing = None
            if self._transport is not None:
                self._transport.resume_reading()

    async def _respond(self, head: RequestHead, upload: Upload, keep_alive: bool) -> None:
        try:
            if self._flushing is not None:
                await asyncio.gather(self._flushing, return_exceptions=True)
            if self._lingering:
                await upload.cancel()
                return
            try:
                body = await upload.seal()
            except OSError as exc:
                LOG.error("Cannot write the body of a request: %s", exc)
                await upload.cancel()
                response = _no_room()
            else:
                response = await self._handle(head, body)
                del body
            await self._send(
                response, head, keep_alive and not response.close and not self._is_last
            )
        except (asyncio.CancelledError, ConnectionAbortedError):
            LOG.debug("The client of %s %s has disconnected", head.method, redact(head.url))
        except Exception:
            LOG.exception("Cannot handle %s %s", head.method, redact(head.url))
            await self._send(problem_response(500, "The agent failed; see its log."), head, False)
        finally:
            self._end_arrival()
            self.task = None

    async def _handle(self, head: RequestHead, body: Body) -> Response:
        outcome = await self._server.handler.handle(head, body, self._arrival)
        self._end_arrival()
        if isinstance(outcome, Response):
            return outcome
        del body, head  # free the memory: thousands of clients may wait here
        self._holding = self._transport is not None
        if not self._holding:
            self._server.handler.client_gone(outcome)
            raise ConnectionAbortedError
        try:
            return await self._server.handler.wait_for_response(outcome)
        finally:
            self._holding = False

    async def _send(self, response: Response, head: RequestHead, keep_alive: bool) -> None:
        keep_alive = await self._sender.send(response, head.method, keep_alive)
        # A request that came meanwhile is not read: the client has to send it again.
        if (not keep_alive or self._is_last) and self._transport is not None:
            self._transport.close()

    def _refuse(self, refusal: Response) -> None:
        """Respond immediately, and discard the rest of the connection's input."""
        self._lingering = True
        self._reading = False
        if self._transport is None:
            return
        self._transport.write(refusal.head(keep_alive=False) + refusal.body.data)
        # A close with unread bytes would reset the socket, and the refusal would be lost.
        self._loop.call_later(_LINGER, self.close)

    def _drop_upload(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            self._end_arrival()
            self._server.spawn(_cancel(upload, self._flushing))

    def stalled(self, since: float) -> bool:
        """Whether a request is incomplete and no byte arrived after ``since`` (loop time)."""
        return self._reading and self.last_byte_at < since and self._flushing is None

    def yield_room(self) -> None:
        """Reserve no more room than the body takes by now: the client has stalled."""
        if self._arrival is not None:
            self._arrival.stall()

    def close(self) -> None:
        """Close the connection; an incomplete request is dropped."""
        self._drop_upload()  # here and not in connection_lost: the server's stop waits for it
        if self._transport is not None:
            self._transport.close()


async def _cancel(upload: Upload, flushing: asyncio.Task[None] | None) -> None:
    if flushing is not None:
        await asyncio.gather(flushing, return_exceptions=True)
    await upload.cancel()


def _no_room(*, close: bool = False) -> Response:
    detail = "No room for the body. This write was not accepted."
    return problem_response(503, detail, ("retry-after", "1"), close=close)
