"""The truth about the guest: a fresh connection and a tiny request every few milliseconds.

Each probe is a connection of its own that is given up before TCP repeats its SYN (1 s), so that the
first answer after a blackout comes when the guest is there, not when a back-off ends.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tools.measurement.analysis.outcome import Probe
from tools.measurement.answers import Headers
from tools.measurement.target import Target

GIVE_UP: Final = 0.9  # seconds; the SYN would be repeated after 1


class Prober:
    """Probes until it is cancelled; ``answered`` holds the probes that were answered."""

    def __init__(self, target: Target, interval: float) -> None:
        self.answered: list[Probe] = []
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
                # A probe that is late is not made up for: it would only crowd the guest.
                due = max(due + self._interval, loop.time())
                await asyncio.sleep(due - loop.time())
        finally:
            for task in self._tasks:
                task.cancel()

    async def silence(self, zero: float, seconds: float) -> None:
        """Return once nothing was answered for so long, after the guest had answered before."""
        loop = asyncio.get_running_loop()
        while True:
            if self.answered:
                quiet = loop.time() - zero - self.answered[-1].answered
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
                answer: asyncio.Future[bool] = loop.create_future()

                def on_answer(status: int, _headers: Headers, error: str) -> None:
                    if not answer.done():
                        answer.set_result(bool(status) and status < 500 and not error)

                exchange.send(self._request, on_answer)
                if await answer:
                    self.answered.append(Probe(sent - zero, loop.time() - zero))
        except (OSError, TimeoutError):
            return  # not answered: that is what the gap shows
        finally:
            if exchange is not None:
                exchange.abort()
