"""One keep-alive connection to the guest: a request out, an answer in, never two at once."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from typing import cast

import httptools

from nova_cachemig.agent.replay.message import end_to_end
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import Body, GuestAnswer

# linux/tcp.h; not in Python's socket module
_TCP_THIN_LINEAR_TIMEOUTS = 16
_TCP_RTO_MAX_MS = 44  # since Linux 6.15
_RTO_MAX = 1000  # ms, the least that the kernel takes: a paused guest's return is seen that soon

_KEEP_ALIVE_TIMEOUT = re.compile(r"timeout=(\d+)")


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
    for option, value in ((_TCP_THIN_LINEAR_TIMEOUTS, 1), (_TCP_RTO_MAX_MS, _RTO_MAX)):
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
        self._max_answer = max_answer
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[GuestAnswer] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._keep_alive = True
        self._timeout: float | None = None  # the guest's own, from its Keep-Alive header
        self._begin()

    def _begin(self) -> None:
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._length = 0
        self._head_done = False

    def usable(self, target: Target, idle: float) -> bool:
        """Whether the next request may go here: same guest, open, idle at most ``idle`` s."""
        if self._timeout is not None:  # half of it: the guest's clock began before ours
            idle = min(idle, self._timeout / 2)
        return (
            self.target == target
            and self._transport is not None
            and not self._transport.is_closing()
            and self._keep_alive
            and self._loop.time() - self.last_byte <= idle
        )

    async def exchange(self, head: bytes, body: Body, chunks: AsyncIterator[bytes]) -> GuestAnswer:
        """Send a request and return the answer. Raises NotSent or ConnectionLost.

        ``chunks`` is the body where it is in a spool file.
        """
        if self._transport is None or self._transport.is_closing():
            raise NotSent(f"the guest closed its connection at {self.target.address}")
        waiter = self._waiter = self._loop.create_future()
        self._begin()
        if body.spool is None:
            self._transport.write(head + body.data)
        else:
            self._transport.write(head)
            await self._stream(chunks, waiter)
        return await waiter

    async def _stream(
        self, chunks: AsyncIterator[bytes], waiter: asyncio.Future[GuestAnswer]
    ) -> None:
        async for chunk in chunks:
            await self._writable.wait()
            if waiter.done() or self._transport is None or self._transport.is_closing():
                self._keep_alive = False  # an answer before the end: the framing is broken off
                return
            self._transport.write(chunk)

    def close(self) -> None:
        """Close it; a request in flight ends with ConnectionLost."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.last_byte = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self.last_byte = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._lose(f"the guest's answer is not HTTP: {exc}")
            self.close()

    def eof_received(self) -> bool:
        framed = any(name in {"content-length", "transfer-encoding"} for name, _ in self._headers)
        if self._head_done and not framed:  # its end is the connection's end
            self._keep_alive = False
            self.on_message_complete()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._lose(f"connection lost: {exc or 'closed by the guest'}")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _lose(self, why: str) -> None:
        waiter, self._waiter = self._waiter, None
        self._keep_alive = False
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionLost(why))

    # --- httptools

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
            self._begin()
            return
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            self._keep_alive = False  # an answer that nobody asked for
            return
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()
        for name, value in self._headers:
            if name == "keep-alive" and (found := _KEEP_ALIVE_TIMEOUT.search(value)):
                self._timeout = float(found[1])
        headers = end_to_end(self._headers)
        if self._length > self._max_answer:
            headers += (("cachemig-write", "answered; its body was too large to keep"),)
        waiter.set_result(GuestAnswer(status, headers, Body.of(b"".join(self._body))))
        if not self._keep_alive:
            self.close()
