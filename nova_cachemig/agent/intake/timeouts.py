"""Timeouts of equal length, with one timer of the event loop for all of them."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.replay.entries import Request


class AcceptanceTimeouts:
    """Ends the waits for the journal's database.

    A timer for each write would cost more than all else between the database and the client.
    """

    def __init__(self) -> None:
        self._deadlines: dict[Request, float] = {}  # loop times, the earliest first
        self._timer: asyncio.TimerHandle | None = None

    def start(self, request: Request, seconds: float) -> None:
        """Resolve a request as unknown after ``seconds``, which are the same for all."""
        loop = asyncio.get_running_loop()
        self._deadlines[request] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(seconds, self._ring)

    def stop(self, request: Request) -> None:
        """The wait is over."""
        self._deadlines.pop(request, None)

    def _ring(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for request, deadline in tuple(self._deadlines.items()):
            if deadline > now:
                self._timer = loop.call_at(deadline, self._ring)
                return
            del self._deadlines[request]
            request.resolve(False)
