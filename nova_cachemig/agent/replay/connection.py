"""One keep-alive connection to the guest: requests go out in order, answers come in that order."""

from __future__ import annotations

import asyncio
import collections
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

import httptools

from nova_cachemig.agent.replay import retransmit
from nova_cachemig.model.headers import end_to_end
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import Body, GuestResponse

# linux/tcp.h; not in Python's socket module
_TCP_THIN_LINEAR_TIMEOUTS = 16
_TCP_RTO_MAX_MS = 44  # since Linux 6.15
_TCP_RTO_MIN_US = 45  # since Linux 6.18
# Bytes: where linux/tcp.h has tcpi_retransmits (in a row, by timer) and tcpi_unacked (segments).
_TCP_INFO_RETRANSMITS: Final = 2
_TCP_INFO_UNACKED: Final = 24
_RTO_MAX = 1000  # ms, the least that the kernel takes: a paused guest's return is seen that soon
# The switches learn where the guest is now while the first packets go there; one that is lost is
# repeated after this and not after 200 ms. A guest may put its acknowledgement off for 40 ms.
_RTO_MIN = 60_000  # µs

_KEEP_ALIVE_TIMEOUT = re.compile(r"timeout=(\d+)")


Ended = Callable[[GuestResponse | BaseException], None]
"""What is called with the answer to a request, or with NotSent or ConnectionLost."""

# A guest that answers within this time is sent the next write behind the one that is under way.
PROMPT: Final = 0.02  # seconds


class NotSent(ConnectionError):
    """The connection was gone before any byte of the request went out."""


class ConnectionLost(ConnectionError):
    """The connection was lost when the request was out, or partly out: the guest may have it."""


def _prepare(sock: socket.socket, user_timeout: float) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    # Without it, a short RTO would use up tcp_retries2 within seconds of the guest's pause and
    # give the connection up, with a write on it. It replaces the count of keep-alive probes too.
    ms = min(int(user_timeout * 1000), 2**31 - 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, ms)
    for option, value in (
        (_TCP_THIN_LINEAR_TIMEOUTS, 1),
        (_TCP_RTO_MAX_MS, _RTO_MAX),
        (_TCP_RTO_MIN_US, _RTO_MIN),
    ):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        except OSError:  # ENOPROTOOPT: an older kernel; a write in flight then waits longer
            continue


async def connect(
    target: Target, *, source: str | None, user_timeout: float, max_answer: int
) -> GuestConnection:
    """Connect, or raise OSError. The caller bounds the time."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _prepare(sock, user_timeout)
        if source is not None:
            sock.bind((source, 0))
        await loop.sock_connect(sock, (target.address, target.port))
        _, protocol = await loop.create_connection(
            lambda: GuestConnection(target, max_answer), sock=sock
        )
    except BaseException:
        sock.close()
        raise
    return protocol


class GuestConnection(asyncio.Protocol):
    """The protocol of one connection."""

    def __init__(self, target: Target, max_answer: int) -> None:
        self.target = target
        self.last_byte = 0.0  # loop time at which the guest last sent something
        self.prompt = False  # the guest keeps the connection open and answered soon last time
        self._max_answer = max_answer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiters: collections.deque[Ended] = collections.deque()
        self._complete: list[tuple[Ended, GuestResponse]] = []  # not yet told
        self._turn = 0.0  # loop time since which the first of them is the guest's turn
        self._outgoing: list[bytes] = []  # requests of the last of them, to go in one packet
        self._writable = asyncio.Event()
        self._writable.set()
        self._keep_alive = True
        self._timeout: float | None = None  # the guest's own, from its Keep-Alive header
        self._fresh()

    @property
    def silent_since(self) -> float:
        """Loop time since which it is the guest's turn and nothing has come."""
        return max(self.last_byte, self._turn)

    @property
    def open(self) -> bool:
        """Whether a request may go out."""
        return self._transport is not None and not self._transport.is_closing() and self._keep_alive

    @property
    def stuck(self) -> bool:
        """Whether TCP has sent something again and the guest has not acknowledged it."""
        sock = None if self._transport is None else self._transport.get_extra_info("socket")
        if sock is None or self._outgoing:
            return False
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED + 4)
        unacknowledged = int(struct.unpack_from("=I", info, _TCP_INFO_UNACKED)[0])
        return unacknowledged > 0 and info[_TCP_INFO_RETRANSMITS] > 0

    def repeat(self) -> bool:
        """Have TCP send again, now, what the guest has not acknowledged; False: it cannot."""
        if self._transport is None or self._transport.is_closing() or self._outgoing:
            return False
        return retransmit.repeat(self._transport.get_extra_info("socket"))

    def usable(self, target: Target, idle: float) -> bool:
        """Whether the next request may go here: same guest, open, idle at most ``idle`` s."""
        if self._timeout is not None:  # half of it: the guest's clock began before ours
            idle = min(idle, self._timeout / 2)
        return self.target == target and self.open and self._loop.time() - self.last_byte <= idle

    def send(self, request: bytes, ended: Ended, *, at_once: bool = False) -> None:
        """Send a whole request; ``ended`` is called once, later, and must not raise.

        It may go out behind others that are not answered yet: RFC 9112, section 9.3.2. It is
        written ``at_once``, or in one packet with others of this turn of the loop. Raises NotSent.
        """
        if self._transport is None or not self.open:
            raise NotSent(f"the guest closed its connection at {self.target.address}")
        if not self._waiters:
            self._turn = self._loop.time()
        self._waiters.append(ended)
        self._outgoing.append(request)
        if at_once:
            self.flush()
        elif len(self._outgoing) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what this turn of the loop has brought."""
        if self._outgoing and self._transport is not None:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    async def upload(self, head: bytes, chunks: AsyncIterator[bytes]) -> GuestResponse:
        """Send a request whose body comes in chunks. Raises NotSent or ConnectionLost."""
        waiter: asyncio.Future[GuestResponse] = self._loop.create_future()

        def ended(end: GuestResponse | BaseException) -> None:
            if waiter.done():
                return
            if isinstance(end, GuestResponse):
                waiter.set_result(end)
            else:
                waiter.set_exception(end)

        self.send(head, ended, at_once=True)
        if self._transport is not None:
            self._transport.set_write_buffer_limits()  # the next chunk is read meanwhile
        await self._stream(chunks, waiter)
        answer = await waiter
        self._write_at_once()
        return answer

    async def _stream(
        self, chunks: AsyncIterator[bytes], waiter: asyncio.Future[GuestResponse]
    ) -> None:
        async for chunk in chunks:
            await self._writable.wait()
            if waiter.done() or self._transport is None or self._transport.is_closing():
                self._keep_alive = False  # an answer before the end: the framing is broken off
                return
            self._transport.write(chunk)

    def close(self, why: str = "given up") -> None:
        """Close it; requests in flight end with ConnectionLost, and no byte of them goes out."""
        if self._transport is not None and not self._transport.is_closing():
            # Else the kernel would go on sending what the guest has not acknowledged: after it
            # has been sent again on another connection.
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        self._lose(why)

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._write_at_once()
        self.last_byte = self._loop.time()

    def _write_at_once(self) -> None:
        """Have ``write`` send what it can: uvloop would do so at the end of its turn only."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        self.last_byte = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._lose(f"the guest's answer is not HTTP: {exc}")
            self.close()
        self._tell()

    def _tell(self) -> None:
        """Tell of each complete answer, at once: the guest waits for what is sent next.

        Not while ``data`` is parsed: what comes with an answer, unasked for, must not be taken for
        the answer to what is sent now.
        """
        complete, self._complete = self._complete, []
        for ended, answer in complete:
            ended(answer)

    def eof_received(self) -> bool:
        framed = any(name in {"content-length", "transfer-encoding"} for name, _ in self._headers)
        if self._head_done and not framed:  # its end is the connection's end
            self._keep_alive = False
            self.on_message_complete()
            self._tell()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._lose(f"connection lost: {exc or 'closed by the guest'}")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _lose(self, why: str, *, dealt_with: bool = True) -> None:
        self._keep_alive = False
        sent = len(self._waiters) - len(self._outgoing) if dealt_with else 0
        self._outgoing.clear()
        while self._waiters:
            end = ConnectionLost(why) if sent > 0 else NotSent(why)
            self._loop.call_soon(self._waiters.popleft(), end)
            sent -= 1

    def _said_close(self) -> bool:
        return any(
            name == "connection" and "close" in value.lower() for name, value in self._headers
        )

    # --- httptools

    def on_message_begin(self) -> None:
        if not self._waiters:
            self._keep_alive = False  # an answer that nobody asked for

    def _fresh(self) -> None:
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._length = 0
        self._head_done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._head_done = True

    def on_body(self, data: bytes) -> None:
        self._length += len(data)
        if self._length <= self._max_answer:
            self._body.append(data)
        else:
            self._body.clear()

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:  # interim: the answer is still to come
            self._fresh()
            return
        if not self._waiters:
            return  # an answer that nobody asked for
        ended = self._waiters.popleft()
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()
        now = self._loop.time()
        self.prompt = self._keep_alive and now - self._turn <= PROMPT
        self._turn = now
        for name, value in self._headers:
            if name == "keep-alive" and (found := _KEEP_ALIVE_TIMEOUT.search(value)):
                self._timeout = float(found[1])
        headers = end_to_end(self._headers)
        if self._length > self._max_answer:
            headers += (("cachemig-write", "answered; its body was too large to keep"),)
        self._complete.append(
            (ended, GuestResponse(status, headers, Body.of(b"".join(self._body))))
        )
        if not self._keep_alive:
            # "close" says that what was sent behind it is not dealt with: RFC 9112, section 9.6.
            self._lose("the guest ended the connection", dealt_with=not self._said_close())
            self.close()
        self._fresh()  # the connection's end must not be taken for another answer
