"""One keep-alive connection to the guest: requests and responses in order."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import logging
import socket
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.keeping import Keeper
from nova_cachemig.agent.replay.live import LiveBody, Tail
from nova_cachemig.agent.replay.reports import Complete, End, OnEnd, OnResponse, Reports
from nova_cachemig.agent.replay.response import (
    NotHttp,
    Parsed,
    ResponseReader,
    TooLarge,
    not_http_response,
)
from nova_cachemig.agent.replay.wire import Wire
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import GuestResponse

LOG = logging.getLogger(__name__)

_UNLIMITED: Final = 1 << 62  # bytes


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

        ``sock``: see :class:`Wire`. ``bodies``: see :class:`ResponseReader`.
        """
        self.target = target
        self.served = False  # the guest has responded on it
        self._loop = asyncio.get_running_loop()
        self._wire = Wire(sock)
        self._reader = ResponseReader(
            max_response, self._on_begin, self._on_response, bodies, self._on_large
        )
        self._reports = Reports()
        memory = MemoryBudget(_UNLIMITED) if bodies is None else bodies.budget
        name = f"response of {target.address}"
        self._keeper = Keeper(name, self._wire, self._reports, memory)
        self._live: LiveBody | None = None  # the body of the last response, for its client only
        self._waiting: collections.deque[OnResponse] = collections.deque()
        self._ended = False
        self._on_part: Callable[[], None] = lambda: None
        self._outgoing: list[bytes] = []  # the newest requests, to be sent in one packet
        self._keep_alive = True
        self.idle_timeout: float | None = None  # seconds, from the guest's Keep-Alive header

    def watch(self, on_part: Callable[[], None], on_end: OnEnd) -> None:
        """Call ``on_part`` when a part of a response arrives, and ``on_end`` once, at the end.

        Before ``on_end``, all complete responses are reported.
        """
        self._on_part = on_part
        self._reports.watch(on_end)

    def cut_response(self) -> None:
        """Wait no longer for a response. Its request counts as responded."""
        why = "its body took too long"
        if not self._hand_over(why):
            self._end_with(self._reader.cut(why))
        self._reports.run()

    @property
    def streaming(self) -> bool:
        """Whether a client still gets the body of the last response as it arrives."""
        return self._live is not None and not self._live.ended

    @property
    def open(self) -> bool:
        """Whether a request may be sent."""
        return self._wire.open and self._keep_alive

    @property
    def has_lost_segments(self) -> bool:
        """Whether TCP has retransmitted something that is still not acknowledged."""
        return not self._outgoing and self._wire.has_lost_segments

    def retransmit(self) -> bool:
        """Make TCP retransmit now what is not acknowledged. Returns False if it cannot."""
        return not self._outgoing and self._wire.retransmit()

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
        """Write. Returns False if the connection is closed."""
        try:
            return self._wire.write(data)
        except ConnectionError:
            self._keep_alive = False
            return False

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
            self._wire.writable.set()
            on_response(response)

        self.send(head, responding, flush=True)
        self._wire.limit_buffer(None)  # the next chunk is read meanwhile
        async for chunk in chunks:
            await self._wire.writable.wait()
            if responded or not self._write(chunk):
                self._keep_alive = False
                break
        else:
            complete = True
        self._wire.limit_buffer(0)

    def close(self, why: str = "closed by the agent") -> None:
        """Close the connection. Requests in flight fail; the kernel stops sending their bytes.

        A connection that is :attr:`streaming` closes when its client has the body, or leaves.
        """
        if not self.streaming:
            self._wire.abort()
        self._fail_requests(why)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is not a subclass.
        self._wire.attach(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        before = len(self._waiting)
        try:
            self._reader.feed(data)
        except NotHttp as exc:
            LOG.warning("The guest at %s: %s", self.target.address, exc)
            self._on_not_http(responded=len(self._waiting) < before)
        except TooLarge:
            self._end_with(self._reader.cut(self._reader.too_large))
        if self._reader.flush_due and self._wire.open:
            self._reader.flush_due = False
            self._keeper.flush(self._reader.upload, self._on_not_kept)
        self._reports.run()
        if self._reader.in_response:
            self._on_part()
        elif not self._keep_alive and not self._waiting and self._reports.empty:
            self.close("the guest ended it")

    def _on_not_http(self, *, responded: bool) -> None:
        """End the connection. ``responded``: a response ended in the same bytes.

        Then they were perhaps its own: some guests state a length that is too small.
        """
        if responded and not self._reader.in_body:
            self._fail_requests("the guest sent more than its response", blame=False)
            self.close()
            return
        self._hand_over("its body is not HTTP", ended=True)  # then its status is known
        self._end_with(not_http_response())

    def _on_not_kept(self, upload: Upload) -> None:
        why = "its body could not be kept"
        if upload is self._reader.upload and not self._hand_over(why):
            self._end_with(self._reader.cut(why))

    # --- a response whose client gets it before it is complete

    def _on_large(self) -> bool:
        return self._hand_over(self._reader.too_large)

    def _hand_over(self, why: str, *, ended: bool = False) -> bool:
        """Report the present response without its body, which its client gets as it arrives.

        ``why`` it is not kept. ``ended``: nothing more of it arrives. Returns False if the head is
        not complete, or if the guest would process other requests behind this one.
        """
        if not self._reader.in_body or self._reader.live is not None:
            return False
        if not self._waiting or (len(self._waiting) > 1 and not ended):
            return False
        live = self._live = self._keeper.live_body()
        tail = Tail(live, self._reader.length)
        response = dataclasses.replace(self._reader.cut(why), tail=tail)
        upload, data = self._reader.hand_over(live)
        live.before = iter((data,) if data else ())
        self.served = True
        complete = Complete(self._waiting.popleft(), response, sealed=upload is None)
        self._reports.add(complete)
        if upload is not None:
            self._keeper.take_part(complete, upload, live)
        self._fail_requests("the guest's response was cut", blame=False)
        return True

    def _end_with(self, response: GuestResponse) -> None:
        """End the connection. The first request has a response: sent again, it would get the same.

        The requests behind it are not to blame.
        """
        if self._live is not None:
            self._live.end(whole=False)
        has_response = bool(self._waiting)
        if has_response:
            self._reports.add(Complete(self._waiting.popleft(), response))
        self._fail_requests("the guest's response was cut", blame=not has_response)
        self.close()

    def eof_received(self) -> bool:
        self._reader.end()
        self._reports.run()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.writable.set()
        if isinstance(exc, ConnectionResetError):  # it closed with bytes of a body unread
            self._reader.end()
        self._hand_over("its body broke off", ended=True)  # its status is known
        self._reports.run()
        if self._live is not None:
            self._live.end(whole=False)
        self._fail_requests(f"connection lost: {exc or 'closed by the guest'}")

    def pause_writing(self) -> None:
        self._wire.writable.clear()

    def resume_writing(self) -> None:
        self._wire.writable.set()

    def _fail_requests(self, why: str, *, processed: bool = True, blame: bool = True) -> None:
        """End all requests in flight. Without ``processed``, the guest has applied none of them.

        With ``blame``, the oldest one may be why the connection broke.
        """
        self._keep_alive = False
        upload, self._reader.upload = self._reader.upload, None
        if upload is not None:  # the response is incomplete
            self._keeper.cancel(upload)
        if self._ended:
            return
        self._ended = True
        end = End(why, len(self._waiting) - len(self._outgoing), processed, blame)
        self._outgoing.clear()
        self._waiting.clear()
        self._reports.end(end)

    # --- the reader

    def _on_begin(self) -> None:
        if not self._waiting:
            self._keep_alive = False  # an unsolicited response

    def _on_response(self, parsed: Parsed) -> None:
        if not self._waiting:  # an unsolicited response
            if parsed.upload is not None:
                self._keeper.cancel(parsed.upload)
            return
        on_response = self._waiting.popleft()
        self.served = True
        self._keep_alive = self._keep_alive and parsed.keep_alive
        self.idle_timeout = parsed.idle_timeout or self.idle_timeout
        complete = Complete(on_response, parsed.response, sealed=parsed.upload is None)
        self._reports.add(complete)
        if parsed.upload is not None:
            self._keeper.seal(complete, parsed.upload)
        if not self._keep_alive:
            # With "close" the guest does not process what follows: RFC 9112, section 9.6.
            self._fail_requests(
                "the guest ended the connection",
                processed=not parsed.announces_close,
                blame=False,
            )
            self.close()
