"""The agent's peers: clients, the guest, and the clients to which replay is compared."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import time
from multiprocessing.connection import Connection
from typing import Any, Final

import httptools

BODY = b"x" * 1024
_HEADERS = b"User-Agent: bench/1\r\nAccept: */*\r\nContent-Type: application/octet-stream\r\n"


# --- the guest's process


def guest(pipe: Connection, core: int, keep: str) -> None:
    """Listen on two ports. One syncs each write to a file, the other responds immediately."""
    import uvloop

    os.sched_setaffinity(0, {core})
    uvloop.run(_guest(pipe, keep))


async def _guest(pipe: Connection, keep: str) -> None:
    loop = asyncio.get_running_loop()
    fd = os.open(keep, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    keeping = await loop.create_server(lambda: _Guest(fd), "127.0.0.1", 0)
    instant = await loop.create_server(lambda: _Guest(None), "127.0.0.1", 0)
    pipe.send([server.sockets[0].getsockname()[1] for server in (keeping, instant)])
    await keeping.serve_forever()


class _Guest(asyncio.Protocol):
    def __init__(self, fd: int | None) -> None:
        self._fd = fd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._fd is not None:
            os.write(self._fd, BODY)
            os.fdatasync(self._fd)
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")


# --- the clients


class _Client(asyncio.Protocol):
    """One connection: a write, its 202, the next write."""

    def __init__(
        self, remaining: list[int], latencies: list[float], done: asyncio.Future[None], name: str
    ) -> None:
        self._remaining, self._latencies, self._done = remaining, latencies, done
        self._request = (
            b"POST /a/b?c=1 HTTP/1.1\r\nHost: shop.example\r\n"
            b"X-Cachemig-Service: " + name.encode() + b"\r\n"
            b"X-Cachemig-Client: 10.0.0.1\r\n" + _HEADERS + b"Content-Length: 1024\r\n\r\n" + BODY
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpResponseParser(self)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the agent closed a connection"))

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() != 202 and not self._done.done():
            error = AssertionError(f"status {self._parser.get_status_code()}")
            self._done.set_exception(error)
            return
        self._latencies.append(time.perf_counter() - self._sent)
        self._remaining[1] -= 1
        if self._remaining[1] == 0:
            self._done.set_result(None)
        self._next()

    def _next(self) -> None:
        if self._remaining[0] > 0:
            self._remaining[0] -= 1
            self._sent = time.perf_counter()
            self._transport.write(self._request)


async def load(
    path: str, count: int, connections: int, name: str = "shop"
) -> tuple[float, list[float]]:
    """Send ``count`` writes to service ``name``; return seconds and latencies."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    latencies: list[float] = []
    remaining = [count, count]
    began = time.perf_counter()
    made = [
        await loop.create_unix_connection(lambda: _Client(remaining, latencies, done, name), path)
        for _ in range(connections)
    ]
    await done
    seconds = time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    return seconds, latencies


# --- the clients to which replay is compared; each waits for a response before the next request

_SENT: Final = {
    "Host": "shop.example",
    "User-Agent": "bench/1",
    "Accept": "*/*",
    "Content-Type": "application/octet-stream",
    "Idempotency-Key": '"00000000000000000000000000000000"',
}


def plain(port: int, count: int) -> float:
    """Return requests per second of the standard library's keep-alive client."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    began = time.perf_counter()
    for _ in range(count):
        connection.request("POST", "/a/b?c=1", BODY, _SENT)
        connection.getresponse().read()
    seconds = time.perf_counter() - began
    connection.close()
    return count / seconds


class _Responses:
    def __init__(self) -> None:
        self.complete = 0

    def on_message_complete(self) -> None:
        self.complete += 1


def bare(port: int, count: int) -> float:
    """Return requests per second of a socket that sends the same bytes repeatedly.

    It ignores the responses' content, and the parser is in C: no client can be faster.
    """
    head = [b"POST /a/b?c=1 HTTP/1.1"]
    head += [f"{name.lower()}: {value}".encode() for name, value in _SENT.items()]
    request = b"\r\n".join([*head, b"content-length: 1024", b"", BODY])
    responses = _Responses()
    parser = httptools.HttpResponseParser(responses)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        for number in range(1, count + 1):
            sock.sendall(request)
            while responses.complete < number:
                parser.feed_data(sock.recv(65536))
        return count / (time.perf_counter() - began)
