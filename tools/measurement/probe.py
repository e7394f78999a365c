"""Probes the guest itself: a new connection and a small request every few milliseconds.

A probe is given up before TCP would retransmit its SYN (1 s). So the first response after a
blackout comes when the guest is back, and not when a back-off ends.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tools.measurement.analysis.outcome import Probe
from tools.measurement.responses import Headers
from tools.measurement.target import Target

GIVE_UP: Final = 0.9  # seconds; TCP retransmits the SYN after 1 s


class Prober:
    """Probes until it is cancelled; ``responses`` holds the probes that got a response."""

    def __init__(self, target: Target, interval: float) -> None:
        self.responses: list[Probe] = []
        self.sent = 0
        self._target = target
        self._interval = interval
        self._request = (
            f"GET {target.prefix or '/'} HTTP/1.1\r\nHost: {target.authority}\r\n"
            "User-Agent: nova-cachemig-probe\r\nConnection: close\r\n\r\n"
        ).encode()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, zero: float) -> None:
        """Probe every interval; times count from ``zero`` of the loop's clock."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                task = loop.create_task(self._probe(zero))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                self.sent += 1
                # Late probes are left out: several at a time would only load the guest.
                due = max(due + self._interval, loop.time())
                await asyncio.sleep(due - loop.time())
        finally:
            for task in self._tasks:
                task.cancel()

    async def silence(self, zero: float, seconds: float) -> None:
        """Return when the last response is ``seconds`` old; wait for a first one."""
        loop = asyncio.get_running_loop()
        while True:
            if self.responses:
                quiet = loop.time() - zero - self.responses[-1].responded
                if quiet >= seconds:
                    return
            await asyncio.sleep(self._interval)

    async def _probe(self, zero: float) -> None:
        loop = asyncio.get_running_loop()
        sent = loop.time()
        exchange = None
        try:
            async with asyncio.timeout(GIVE_UP):
                exchange = await self._target.connect()
                good: asyncio.Future[bool] = loop.create_future()

                def on_response(status: int, _headers: Headers, error: str) -> None:
                    if not good.done():
                        good.set_result(bool(status) and status < 500 and not error)

                exchange.send(self._request, on_response)
                if await good:
                    self.responses.append(Probe(sent - zero, loop.time() - zero))
        except (OSError, TimeoutError):
            return  # no response: part of a gap
        finally:
            if exchange is not None:
                exchange.abort()
