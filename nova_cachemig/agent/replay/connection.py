"""One keep-alive connection to the guest: requests and responses in order."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, cast

from nova_cachemig.agent.journal.upload import Upload
from nova_cachemig.agent.replay import retransmit
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.response import (
    NotHttp,
    Parsed,
    ResponseReader,
    TooLarge,
    not_http_response,
)
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import NO_BODY, GuestResponse

LOG = logging.getLogger(__name__)

# Offsets of tcpi_retransmits (in a row, by timer) and tcpi_unacked (segments) in linux/tcp.h's
# tcp_info.
_TCP_INFO_RETRANSMITS: Final = 2
_TCP_INFO_UNACKED: Final = 24

OnOutcome = Callable[[GuestResponse | BaseException], None]
"""Called with the response to a request, or with NotSent or ConnectionLost."""

_BODY_LOST: Final = ("cachemig-write", "responded; its body could not be kept")

# A guest that responds within this time gets the next write behind the one in flight.
PROMPT: Final = 0.02  # seconds


class NotSent(ConnectionError):
    """The connection was closed before any byte of the request was sent."""


class ConnectionLost(ConnectionError):
    """The connection was lost after some of the request was sent: the guest may have it.

    ``since`` is the loop time since which the response was due. ``oldest``: no other response was
    due before it, so this request may be why the guest closed the connection.
    """

    def __init__(self, why: str, since: float = 0.0, *, oldest: bool = True) -> None:
        super().__init__(why)
        self.since = since
        self.oldest = oldest


@dataclasses.dataclass(slots=True)
class _Complete:
    """A complete response that is still to be reported."""

    on_outcome: OnOutcome
    response: GuestResponse
    sealed: bool = True  # else its body is still being written to a spool file


class GuestConnection(asyncio.Protocol):
    """The protocol of one connection."""

    def __init__(
        self,
        target: Target,
        max_response: int,
        sock: socket.socket | None = None,
        bodies: ResponseBodies | None = None,
    ) -> None:
        """``max_response``: bytes of a response's body that are kept.

        ``sock``: the transport's socket, which the transport closes. Without it, requests are not
        sent as records. ``bodies``: see :class:`ResponseReader`.
        """
        self.target = target
        self._sock = sock  # a transport gives no access to the flags of send()
        self.last_byte = 0.0  # loop time at which the guest last sent something
        self.prompt = False  # the guest keeps the connection open and its last response was quick
        self.served = False  # the guest has responded on it
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = ResponseReader(max_response, self._on_begin, self._on_response, bodies)
        self._flushing: asyncio.Task[None] | None = None  # reading is paused meanwhile
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: collections.deque[OnOutcome] = collections.deque()
        self._complete: collections.deque[_Complete] = collections.deque()  # callbacks to run
        self._began_at = 0.0  # loop time of the first byte of the response that is incomplete
        self._waiting_since = 0.0  # loop time since which the first response is due
        self._paused = 0  # requests without a response that were in flight at the last pause
        self._outgoing: list[bytes] = []  # the newest requests, to be sent in one packet
        self._writable = asyncio.Event()
        self._writable.set()
        self._keep_alive = True
        self._idle_timeout: float | None = None  # seconds, from the guest's Keep-Alive header

    @property
    def silent_since(self) -> float:
        """Loop time since which a response is due and no byte has arrived."""
        return max(self.last_byte, self._waiting_since)

    def responding_for(self, now: float, since: float) -> float:
        """Return the seconds since the first byte of an incomplete response, or since ``since``.

        The later one counts. 0: no byte of the next response has arrived. ``now`` and ``since``
        are loop times.
        """
        if not self._waiting or not self._reader.in_response:
            return 0.0
        return now - max(self._began_at, since)

    def cut_response(self) -> None:
        """End a response that takes too long. Its request counts as responded."""
        self._end_with(self._reader.cut("its body took too long"))
        self._run_callbacks()

    @property
    def open(self) -> bool:
        """Whether a request may be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._keep_alive

    @property
    def has_lost_segments(self) -> bool:
        """Whether TCP has retransmitted something that is still not acknowledged."""
        if self._transport is None or self._transport.is_closing() or self._outgoing:
            return False
        sock = self._transport.get_extra_info("socket")
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED + 4)
        unacknowledged = int(struct.unpack_from("=I", info, _TCP_INFO_UNACKED)[0])
        return unacknowledged > 0 and info[_TCP_INFO_RETRANSMITS] > 0

    def retransmit(self) -> bool:
        """Make TCP retransmit now what is not acknowledged. Returns False if it cannot."""
        if self._transport is None or self._transport.is_closing() or self._outgoing:
            return False
        return retransmit.request_retransmission(self._transport.get_extra_info("socket"))

    def note_pause(self) -> None:
        """The guest is paused. The time of the requests in flight does not count for ``prompt``."""
        self._paused = len(self._waiting)

    def usable(self, target: Target, idle: float) -> bool:
        """Whether it leads to ``target``, is open, and has been idle for at most ``idle`` s."""
        if self._idle_timeout is not None:  # half of it: the guest's timer started earlier
            idle = min(idle, self._idle_timeout / 2)
        return self.target == target and self.open and self._loop.time() - self.last_byte <= idle

    def send(self, request: bytes, on_outcome: OnOutcome, *, flush: bool = False) -> None:
        """Send a whole request. ``on_outcome`` is called once, later, and must not raise.

        The request may follow others without a response (RFC 9112, section 9.3.2). It is written
        immediately with ``flush``, else in one packet with others of this turn of the loop. Raises
        NotSent.
        """
        if self._transport is None or not self.open:
            raise NotSent(f"the guest closed its connection at {self.target.address}")
        if not self._waiting:
            self._waiting_since = self._loop.time()
        self._waiting.append(on_outcome)
        self._outgoing.append(request)
        if flush:
            self.flush()
        elif len(self._outgoing) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the requests of this turn of the loop. They stay unsent if the guest has closed."""
        if not self._outgoing:
            return
        data = b"".join(self._outgoing)
        if self._write(data):
            self._outgoing.clear()

    def _write(self, data: bytes) -> bool:
        """Write, immediately if the socket accepts it. Returns False if the guest has closed.

        Then the end of the connection is still to be read, and before it perhaps a response. The
        transport would discard both after a failed write.
        """
        if self._transport is None or self._transport.is_closing():
            return False
        try:
            sent = self._send_record(data)
        except ConnectionError:  # no byte of ``data`` was sent
            self._keep_alive = False
            return False
        if rest := data[sent:]:
            self._transport.write(rest)
        return True

    def _send_record(self, data: bytes) -> int:
        """Send what the socket accepts as one record; return the number of bytes.

        Raises ConnectionError if the guest has closed the connection.

        TCP never merges a record with the bytes behind it. Without records it may retransmit two
        writes in one segment. If the guest had only the first of them at its pause, it acknowledges
        half of that segment. TCP then considers the other half to be in flight, and sends nothing
        until its timer expires after a second.
        """
        if self._sock is None or self._transport is None:
            return 0
        if self._transport.get_write_buffer_size():
            return 0  # not before the bytes of an earlier request
        try:
            return self._sock.send(data, socket.MSG_EOR | socket.MSG_DONTWAIT)
        except ConnectionError:
            raise
        except OSError:  # the buffer is full, or the transport's write fails too and is reported
            return 0

    async def upload(self, head: bytes, chunks: AsyncIterator[bytes]) -> GuestResponse:
        """Send a request whose body comes in chunks. Raises NotSent or ConnectionLost."""
        response: asyncio.Future[GuestResponse] = self._loop.create_future()

        def on_outcome(outcome: GuestResponse | BaseException) -> None:
            if response.done():
                return
            if isinstance(outcome, GuestResponse):
                response.set_result(outcome)
            else:
                response.set_exception(outcome)

        self.send(head, on_outcome, flush=True)
        self._limit_write_buffer(None)  # the next chunk is read meanwhile
        try:
            await self._stream(chunks, response)
        except BaseException:
            response.cancel()
            raise
        result = await response
        if self._keep_alive:
            self._limit_write_buffer(0)
        else:
            self.close()
        return result

    async def _stream(
        self, chunks: AsyncIterator[bytes], response: asyncio.Future[GuestResponse]
    ) -> None:
        async for chunk in chunks:
            await self._writable.wait()
            if response.done() or not self._write(chunk):
                self._keep_alive = False  # a response before the end: the request stays incomplete
                return

    def close(self, why: str = "closed by the agent") -> None:
        """Close the connection. Requests in flight fail; the kernel stops sending their bytes."""
        if self._transport is not None and not self._transport.is_closing():
            # Without a reset, the kernel would go on retransmitting the requests, even after they
            # were sent again on another connection.
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        self._fail_requests(why)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._limit_write_buffer(0)
        self.last_byte = self._loop.time()

    def _limit_write_buffer(self, high: int | None) -> None:
        """Set the bytes above which ``write`` blocks; None: the default.

        With 0 bytes, ``write`` sends immediately. uvloop would send at the end of its turn. On a
        transport that is closed, uvloop raises RuntimeError.
        """
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_write_buffer_limits(high=high)

    def data_received(self, data: bytes) -> None:
        self.last_byte = self._loop.time()
        if not self._reader.in_response:
            self._began_at = self.last_byte
        try:
            self._reader.feed(data)
        except NotHttp as exc:
            LOG.warning("The guest at %s: %s", self.target.address, exc)
            self._end_with(not_http_response())
        except TooLarge:
            self._end_with(self._reader.cut("its body was too large to keep"))
        transport = self._transport
        if self._reader.flush_due and transport is not None and not transport.is_closing():
            transport.pause_reading()
            self._flushing = self._spawn(self._flush())
        self._run_callbacks()

    async def _flush(self) -> None:
        """Write a part of a large body to its spool file."""
        upload = self._reader.upload
        self._reader.flush_due = False
        try:
            if upload is not None:
                await upload.flush()
        except OSError as exc:
            LOG.error("Cannot keep the body of a response: %s", exc)
            self._end_with(self._reader.cut("its body could not be kept"))
            self._run_callbacks()
        finally:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    async def _seal(self, complete: _Complete, upload: Upload) -> None:
        """Complete a response whose body is in a spool file."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing})
        headers = complete.response.headers
        try:
            await upload.flush()
            body = await upload.seal()
        except OSError as exc:
            LOG.error("Cannot keep the body of a response: %s", exc)
            body, headers = NO_BODY, (*headers, _BODY_LOST)
        complete.response = GuestResponse(complete.response.status, headers, body)
        complete.sealed = True
        self._run_callbacks()

    async def _cancel_upload(self, upload: Upload) -> None:
        if self._flushing is not None:
            await asyncio.wait({self._flushing})
        await upload.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=f"response of {self.target.address}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _end_with(self, response: GuestResponse) -> None:
        """End the connection. The first request has a response: sent again, it would get the same.

        The requests behind it are not to blame.
        """
        has_response = bool(self._waiting)
        if has_response:
            self._complete.append(_Complete(self._waiting.popleft(), response))
        self._fail_requests("the guest's response was cut", blame=not has_response)
        self.close()

    def _run_callbacks(self) -> None:
        """Report each complete response immediately: the guest waits for the next request.

        Not while data is being parsed: an unsolicited response behind a complete one must not count
        as the response to a request that a callback sends.
        """
        while self._complete and self._complete[0].sealed:
            complete = self._complete.popleft()
            complete.on_outcome(complete.response)

    def eof_received(self) -> bool:
        self._reader.end()
        self._run_callbacks()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if isinstance(exc, ConnectionResetError):  # it closed with bytes of a body unread
            self._reader.end()
            self._run_callbacks()
        self._fail_requests(f"connection lost: {exc or 'closed by the guest'}")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _fail_requests(self, why: str, *, processed: bool = True, blame: bool = True) -> None:
        """End all requests in flight. Without ``processed``, the guest has applied none of them.

        With ``blame``, the oldest one may be why the connection broke.
        """
        self._keep_alive = False
        upload, self._reader.upload = self._reader.upload, None
        if upload is not None:  # the response is incomplete
            self._spawn(self._cancel_upload(upload))
        sent = len(self._waiting) - len(self._outgoing) if processed else 0
        self._outgoing.clear()
        while self._waiting:
            error = ConnectionLost(why, self._waiting_since, oldest=blame)
            on_outcome = self._waiting.popleft()
            self._loop.call_soon(on_outcome, error if sent > 0 else NotSent(why))
            sent, blame = sent - 1, False

    # --- the reader

    def _on_begin(self) -> None:
        if not self._waiting:
            self._keep_alive = False  # an unsolicited response

    def _on_response(self, parsed: Parsed) -> None:
        if not self._waiting:  # an unsolicited response
            if parsed.upload is not None:
                self._spawn(self._cancel_upload(parsed.upload))
            return
        on_outcome = self._waiting.popleft()
        self.served = True
        self._keep_alive = self._keep_alive and parsed.keep_alive
        now = self._loop.time()
        if self._paused:
            self._paused -= 1
            self.prompt = self.prompt and self._keep_alive
        else:
            self.prompt = self._keep_alive and now - self._waiting_since <= PROMPT
        self._waiting_since = self._began_at = now
        self._idle_timeout = parsed.idle_timeout or self._idle_timeout
        complete = _Complete(on_outcome, parsed.response, sealed=parsed.upload is None)
        self._complete.append(complete)
        if parsed.upload is not None:
            self._spawn(self._seal(complete, parsed.upload))
        if not self._keep_alive:
            # With "close" the guest does not process what follows: RFC 9112, section 9.6.
            self._fail_requests(
                "the guest ended the connection",
                processed=not parsed.announces_close,
                blame=False,
            )
            self.close()
