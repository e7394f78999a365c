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

from nova_cachemig.agent import retransmit
from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.agent.replay import records
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.live import LiveBody, Tail
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

_UNLIMITED: Final = 1 << 62  # bytes

OnResponse = Callable[[GuestResponse], None]


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """The end of a connection."""

    why: str
    unanswered: int = 0  # requests that the guest may have, and has not responded to
    processed: bool = True  # else it announced before that it processes no more
    blame: bool = True  # the oldest of them may be why it ended


OnEnd = Callable[[End], None]

_BODY_LOST: Final = ("cachemig-write", "responded; its body could not be kept")


@dataclasses.dataclass(slots=True)
class _Complete:
    """A complete response that is still to be reported."""

    on_response: OnResponse
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
        self.served = False  # the guest has responded on it
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = ResponseReader(
            max_response, self._on_begin, self._on_response, bodies, self._on_large
        )
        self._memory = MemoryBudget(_UNLIMITED) if bodies is None else bodies.budget
        self._paused = False  # the guest's bytes are not read
        self._live: LiveBody | None = None  # the body of the last response, for its client only
        self._flushing: asyncio.Task[None] | None = None  # reading is paused meanwhile
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: collections.deque[OnResponse] = collections.deque()
        self._complete: collections.deque[_Complete] = collections.deque()  # callbacks to run
        self._on_end: OnEnd = lambda _end: None
        self._end: End | None = None  # to be reported behind the responses that are complete
        self._ended = False
        self._on_part: Callable[[], None] = lambda: None
        self._outgoing: list[bytes] = []  # the newest requests, to be sent in one packet
        self._writable = asyncio.Event()
        self._writable.set()
        self._keep_alive = True
        self.idle_timeout: float | None = None  # seconds, from the guest's Keep-Alive header

    def watch(self, on_part: Callable[[], None], on_end: OnEnd) -> None:
        """Call ``on_part`` when a part of a response arrives, and ``on_end`` once, at the end.

        Before ``on_end``, all complete responses are reported.
        """
        self._on_part, self._on_end = on_part, on_end
        if self._end is not None:
            self._loop.call_soon(self._report_end)

    def cut_response(self) -> None:
        """Wait no longer for a response. Its request counts as responded."""
        why = "its body took too long"
        if not self._hand_over(why):
            self._end_with(self._reader.cut(why))
        self._run_callbacks()

    @property
    def streaming(self) -> bool:
        """Whether a client still gets the body of the last response as it arrives."""
        return self._live is not None and not self._live.ended

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

    @property
    def in_response(self) -> bool:
        """Whether a part of a response has arrived."""
        return self._reader.in_response

    def send(self, request: bytes, on_response: OnResponse, *, flush: bool = False) -> None:
        """Send a whole request. ``on_response`` is called once, unless the connection ends before.

        The request may follow others without a response (RFC 9112, section 9.3.2). It is written
        immediately with ``flush``, else in one packet with others of this turn of the loop.
        """
        self.queue(request, on_response)
        if flush:
            self.flush()
        elif len(self._outgoing) == 1:
            self._loop.call_soon(self.flush)

    def queue(self, request: bytes, on_response: OnResponse) -> None:
        """As :meth:`send`, but write nothing before the next :meth:`flush`."""
        if not self._ended:  # else it counts as not sent
            self._waiting.append(on_response)
            self._outgoing.append(request)

    def flush(self) -> None:
        """Write the requests of this turn of the loop. They stay unsent if the guest has closed."""
        if self._outgoing and self._keep_alive and self._write(b"".join(self._outgoing)):
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
        """
        if self._sock is None or self._transport is None:
            return 0
        if self._transport.get_write_buffer_size():
            return 0  # not before the bytes of an earlier request
        try:
            return records.send(self._sock, data)
        except ConnectionError:
            raise
        except OSError:  # the buffer is full, or the transport's write fails too and is reported
            return 0

    async def upload(
        self, head: bytes, chunks: AsyncIterator[bytes], on_response: OnResponse
    ) -> None:
        """Send a request whose body comes in chunks. Cancel it if the connection ends.

        A response before the end of the body ends the connection.
        """
        responded = complete = False

        def responding(response: GuestResponse) -> None:
            nonlocal responded
            responded = not self.streaming
            self._keep_alive = self._keep_alive and complete
            self._writable.set()
            on_response(response)

        self.send(head, responding, flush=True)
        self._limit_write_buffer(None)  # the next chunk is read meanwhile
        async for chunk in chunks:
            await self._writable.wait()
            if responded or not self._write(chunk):
                self._keep_alive = False
                break
        else:
            complete = True
        self._limit_write_buffer(0)

    def close(self, why: str = "closed by the agent") -> None:
        """Close the connection. Requests in flight fail; the kernel stops sending their bytes.

        A connection that is :attr:`streaming` closes when its client has the body, or leaves.
        """
        if not self.streaming:
            self._abort()
        self._fail_requests(why)

    def _abort(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            # Without a reset, the kernel would go on retransmitting the requests, even after they
            # were sent again on another connection.
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._limit_write_buffer(0)

    def _limit_write_buffer(self, high: int | None) -> None:
        """Set the bytes above which ``write`` blocks; None: the default.

        With 0 bytes, ``write`` sends immediately. uvloop would send at the end of its turn. On a
        transport that is closed, uvloop raises RuntimeError.
        """
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_write_buffer_limits(high=high)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
        except NotHttp as exc:
            LOG.warning("The guest at %s: %s", self.target.address, exc)
            self._end_with(not_http_response())
        except TooLarge:
            self._end_with(self._reader.cut("its body was too large to keep"))
        transport = self._transport
        if self._reader.flush_due and transport is not None and not transport.is_closing():
            self._read_on(False)
            self._flushing = self._spawn(self._flush())
        self._run_callbacks()
        if self._reader.in_response:
            self._on_part()
        elif not self._keep_alive and not self._waiting and not self._complete:
            self.close("the guest ended it")

    async def _flush(self) -> None:
        """Write a part of a large body to its spool file."""
        upload = self._reader.upload
        self._reader.flush_due = False
        try:
            if upload is not None:
                await upload.flush()
        except OSError as exc:
            LOG.error("Cannot keep the body of a response: %s", exc)
            why = "its body could not be kept"
            if upload is self._reader.upload and not self._hand_over(why):
                self._end_with(self._reader.cut(why))
            self._run_callbacks()
        finally:
            self._read_on(True)

    async def _seal(self, complete: _Complete, upload: Upload) -> None:
        """Complete a response whose body is in a spool file."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing})
        headers = complete.response.headers
        try:
            await upload.flush()
            body, tail = await upload.seal(), None
        except OSError as exc:
            LOG.error("Cannot keep the body of a response: %s", exc)
            body, headers = NO_BODY, (*headers, _BODY_LOST)
            tail = await self._rest_of(upload)
        complete.response = GuestResponse(complete.response.status, headers, body, tail)
        complete.sealed = True
        self._run_callbacks()

    # --- a response whose client gets it before it is complete

    def _on_large(self) -> bool:
        return self._hand_over("its body was too large to keep")

    def _hand_over(self, why: str, *, ended: bool = False) -> bool:
        """Report the present response without its body, which its client gets as it arrives.

        ``why`` it is not kept. ``ended``: nothing more of it arrives. Returns False if the head is
        not complete, or if the guest would process other requests behind this one.
        """
        if not self._reader.in_body or self._reader.live is not None:
            return False
        if not self._waiting or (len(self._waiting) > 1 and not ended):
            return False
        live = self._live = LiveBody(self._read_on, self._abort, self._memory)
        tail = Tail(live, self._reader.length)
        response = dataclasses.replace(self._reader.cut(why), tail=tail)
        upload, data = self._reader.hand_over(live)
        live.before = iter((data,) if data else ())
        self.served = True
        complete = _Complete(self._waiting.popleft(), response, sealed=upload is None)
        self._complete.append(complete)
        if upload is not None:
            self._read_on(False)
            self._spawn(self._take_part(complete, upload, live))
        self._fail_requests("the guest's response was cut", blame=False)
        return True

    async def _rest_of(self, upload: Upload) -> Tail | None:
        """Return a body that has arrived and cannot be kept, for its client only."""
        live = LiveBody(self._read_on, lambda: None, self._memory)
        live.end(whole=True)
        length = upload.length
        try:
            live.before = await upload.take()
        except OSError as exc:
            LOG.error("The body of a response is lost: %s", exc)
            return None
        return Tail(live, length)

    async def _take_part(self, complete: _Complete, upload: Upload, live: LiveBody) -> None:
        """Get the part of the body that is in a spool file, which is deleted."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing})
        try:
            live.before = await upload.take()
        except OSError as exc:
            LOG.error("The body of a response is lost: %s", exc)
            complete.response = dataclasses.replace(complete.response, tail=None)
            live.abandon()
        complete.sealed = True
        self._run_callbacks()

    def _read_on(self, wanted: bool) -> None:
        """Read from the guest, or let it wait."""
        if self._transport is None or self._transport.is_closing() or wanted is not self._paused:
            return
        self._paused = not wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

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
        if self._live is not None:
            self._live.end(whole=False)
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
            complete.on_response(complete.response)
        if self._end is not None and not self._complete:
            self._loop.call_soon(self._report_end)

    def _report_end(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            self._on_end(end)

    def eof_received(self) -> bool:
        self._reader.end()
        self._run_callbacks()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if isinstance(exc, ConnectionResetError):  # it closed with bytes of a body unread
            self._reader.end()
        self._hand_over("its body broke off", ended=True)  # its status is known
        self._run_callbacks()
        if self._live is not None:
            self._live.end(whole=False)
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
        if self._ended:
            return
        self._ended = True
        self._end = End(why, len(self._waiting) - len(self._outgoing), processed, blame)
        self._outgoing.clear()
        self._waiting.clear()
        if not self._complete:
            self._loop.call_soon(self._report_end)

    # --- the reader

    def _on_begin(self) -> None:
        if not self._waiting:
            self._keep_alive = False  # an unsolicited response

    def _on_response(self, parsed: Parsed) -> None:
        if not self._waiting:  # an unsolicited response
            if parsed.upload is not None:
                self._spawn(self._cancel_upload(parsed.upload))
            return
        on_response = self._waiting.popleft()
        self.served = True
        self._keep_alive = self._keep_alive and parsed.keep_alive
        self.idle_timeout = parsed.idle_timeout or self.idle_timeout
        complete = _Complete(on_response, parsed.response, sealed=parsed.upload is None)
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
