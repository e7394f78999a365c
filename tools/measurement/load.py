"""The load: open-loop, with each request at its planned instant.

A slow server does not slow the load down, so the latencies are those of real users. A closed loop
would leave out the slowest times ("coordinated omission"). The generator's own delay is in each
request (``sent`` - ``scheduled``).
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import itertools
import logging
import random
from collections.abc import Iterator, Mapping
from typing import Final

from tools.measurement import checker, plan, responses
from tools.measurement.analysis.outcome import Request
from tools.measurement.clients import Client, Clients
from tools.measurement.exchange import IDLE_REUSE, Exchange
from tools.measurement.target import Target

LOG: Final = logging.getLogger(__name__)
_SWEEP: Final = 0.2  # seconds between checks for requests past their timeout
ACCEPTED: Final = 202


@dataclasses.dataclass(slots=True)
class Underway:
    """A request without a response."""

    number: int
    client: Client
    ask: plan.Ask
    sent: float
    exchange: Exchange | None = None
    connecting: asyncio.Task[None] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Manner:
    """How the clients behave."""

    clients: int = 200
    writers: int = 0  # clients that only write, the others only read; 0: all do both
    keepalive: bool = False
    impatient: float = 0.0  # share of requests by clients with a pending write
    timeout: float = 60.0  # seconds, from the scheduled instant
    body_bytes: int = 200
    idempotency_keys: bool = False
    respond_async: bool = False  # writes prefer an immediate 202 (RFC 7240)
    expected: frozenset[int] = frozenset()  # 4xx that are not failures


class Load:
    """Runs a plan against a target and keeps the outcomes.

    ``requests`` are the outcomes; ``writes`` and ``reads`` are the input of the checker.
    """

    def __init__(
        self,
        target: Target,
        manner: Manner,
        sources: list[str | None],
        *,
        run: str,
        rng: random.Random,
    ) -> None:
        self.requests: list[Request] = []
        self.writes: list[checker.Write] = []
        self.reads: list[checker.Read] = []
        self._target = target
        self._names: list[str] = []  # of the requests
        self._manner = manner
        self._run = run
        self._clients = Clients(manner.clients, manner.writers, manner.impatient, sources, rng)
        self._underway: dict[int, Underway] = {}
        self._numbers = itertools.count(1)
        self._idle = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._zero = self._loop.time()
        self._stopping = False

    @property
    def now(self) -> float:
        """Seconds since the start of the run."""
        return self._loop.time() - self._zero

    def begin(self, zero: float) -> None:
        """Start the run's clock at this instant of the loop's clock."""
        self._zero = zero

    def stop(self) -> None:
        """Send no more requests; the pending ones run on."""
        self._stopping = True

    async def run(self, asks: Iterator[plan.Ask], duration: float) -> float:
        """Send until ``duration`` (s) or :meth:`stop`, then wait; return the seconds of sending."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            await self.ask(asks, duration)
            asked = min(self.now, duration)
            while self._underway:
                self._idle.clear()
                await self._idle.wait()
        finally:
            sweeper.cancel()
            self._close()
        return asked

    async def ask(self, asks: Iterator[plan.Ask], until: float) -> None:
        """Send until that second of the run, :meth:`stop` or the end of ``asks``; do not wait."""
        for ask in asks:
            if self.now < min(ask.at, until):
                await asyncio.sleep(min(ask.at, until) - self.now)
            if self._stopping or ask.at >= until:
                break
            self._start(ask)

    def learn(self, applied: Mapping[str, float]) -> None:
        """Add when the guest responded to writes with a 202: request id → second of the run."""
        self.requests = [
            dataclasses.replace(request, applied=applied[name])
            if request.status == ACCEPTED and name in applied
            else request
            for request, name in zip(self.requests, self._names, strict=True)
        ]

    def _start(self, ask: plan.Ask) -> None:
        client = self._clients.choose(read=ask.is_read)
        request = Underway(next(self._numbers), client, ask, self.now)
        self._underway[request.number] = request
        client.writes_pending += not ask.is_read
        self._send(request)

    def _send(self, request: Underway) -> None:
        idle = request.client.idle
        while idle:
            exchange = idle.pop()
            if exchange.reusable and self.now - exchange.idle_since < IDLE_REUSE:
                self._write(request, exchange)
                return
            exchange.abort()
        request.connecting = self._loop.create_task(self._connect(request))

    async def _connect(self, request: Underway) -> None:
        try:
            exchange = await self._target.connect(request.client.source)
        except OSError as exc:
            request.connecting = None
            self._ended(request, 0, [], f"connect: {exc.strerror or type(exc).__name__}")
        else:
            request.connecting = None
            self._write(request, exchange)

    def _write(self, request: Underway, exchange: Exchange) -> None:
        request.exchange = exchange

        def on_response(status: int, headers: responses.Headers, error: str) -> None:
            if error and exchange.untouched and request.ask.is_read:
                # RFC 9112 §9.3.1: the server had closed the idle connection; use another
                request.exchange = None
                self._send(request)
            else:
                self._ended(request, status, headers, error)

        exchange.send(self._bytes(request), on_response)

    def _bytes(self, request: Underway) -> bytes:
        ask, name = request.ask, self._name(request)
        lines = [
            f"{ask.method} {self._target.prefix}{ask.path} HTTP/1.1",
            f"Host: {self._target.authority}",
            "User-Agent: nova-cachemig-measure",
            "Accept: */*",
            f"X-Request-Id: {name}",
        ]
        if not ask.is_read:  # a read that tells who asks gets no page of another client
            lines.append(f"X-Client-Id: c{request.client.index}")
        if not self._manner.keepalive:
            lines.append("Connection: close")
        body = self._body(request)
        if self._manner.idempotency_keys and not ask.is_read:
            lines.append(f'Idempotency-Key: "{name}"')
        if self._manner.respond_async and not ask.is_read:
            lines.append("Prefer: respond-async")
        if body:
            lines += ["Content-Type: text/plain", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _body(self, request: Underway) -> bytes:
        if request.ask.method not in ("PUT", "POST"):
            return b""
        return plan.body(self._name(request), self._manner.body_bytes)

    def _name(self, request: Underway) -> str:
        return f"{self._run}-{request.number}"

    def _ended(
        self, request: Underway, status: int, headers: responses.Headers, error: str
    ) -> None:
        if self._underway.pop(request.number, None) is None:
            return
        done, ask, exchange = self.now, request.ask, request.exchange
        request.client.writes_pending -= not ask.is_read
        if exchange is not None and not error:
            self._keep(request.client, exchange, done)
        failed = bool(error) or status >= 500 or (status >= 400 and not self._expects(ask, status))
        self._names.append(self._name(request))
        self.requests.append(
            Request(
                client=request.client.index,
                method=ask.method,
                path=ask.path,
                scheduled=ask.at,
                sent=request.sent,
                done=done,
                status=status,
                failed=failed,
                hit=responses.is_hit(headers),
                storable=ask.is_read and responses.is_storable(status, headers),
                error=error,
            )
        )
        self._remember(request, status, headers, None if error or status >= 400 else done)
        if not self._underway:
            self._idle.set()

    def _expects(self, ask: plan.Ask, status: int) -> bool:
        """Whether it is the 404 or 410 of a missing item, or a status that the user expects."""
        missing = status in (404, 410) and (ask.item or ask.method == "DELETE")
        return missing or status in self._manner.expected

    def _remember(
        self, request: Underway, status: int, headers: responses.Headers, acked: float | None
    ) -> None:
        ask, name = request.ask, self._name(request)
        path = self._target.prefix + ask.path
        if not ask.is_read:
            client, body = f"c{request.client.index}", self._body(request)
            self.writes.append(
                checker.Write(name, client, ask.method, path, request.sent, acked, body)
            )
            return
        seq = responses.whole_number(headers, b"x-write-seq")
        if seq is not None and status:
            self.reads.append(checker.Read(name, path, request.sent, seq))

    def _keep(self, client: Client, exchange: Exchange, now: float) -> None:
        if self._manner.keepalive:
            exchange.idle_since = now
            client.idle.append(exchange)
        else:
            # The server closes first, so that its ports are in TIME-WAIT and not the client's.
            self._loop.call_later(1.0, exchange.abort)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            gc.freeze()  # else a collection of a long run's objects would take 0.1 s
            oldest = self.now - self._manner.timeout
            for request in list(self._underway.values()):
                if request.ask.at < oldest:
                    if request.connecting:
                        request.connecting.cancel()
                    if request.exchange:
                        request.exchange.abort()
                    self._ended(request, 0, [], "timeout")

    def _close(self) -> None:
        for client in self._clients.everybody:
            for exchange in client.idle:
                exchange.abort()
            client.idle.clear()
