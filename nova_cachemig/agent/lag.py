"""Measures how late the event loop is."""

from __future__ import annotations

import asyncio
from typing import Final

from nova_cachemig.model.waits import LOOP, Waits

INTERVAL: Final = 0.5
"""Seconds between two measurements."""


class LoopLag:
    """``lags``: how late the loop was, from each measurement."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self.lags = Waits(LOOP)

    async def watch(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._interval
            await asyncio.sleep(self._interval)
            self.lags.add(max(0.0, loop.time() - due))
