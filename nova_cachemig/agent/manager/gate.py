"""How many services leave a handover at the same time.

The edge holds a service's writes while its journal is emptied. If hundreds do so together, they
share the agent's one thread, and each holds its writes for as long as all of them take. So a few do
so at a time; the others wait in ``replay``, where the journal accepts their writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

AT_ONCE: Final = 32
"""Handovers that have a turn at the same time."""

TURN: Final = 0.5
"""Seconds of one turn. A guest that takes longer goes on, and the next handover begins."""


class ReleaseGate:
    """Gives turns in the order in which they are asked for."""

    def __init__(self, at_once: int = AT_ONCE, turn: float = TURN) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._turn = turn

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn. It ends with the block, or after its time: no guest delays another."""
        await self._free.acquire()
        over = asyncio.Event()

        def end() -> None:
            if not over.is_set():
                over.set()
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._turn, end)
        try:
            yield
        finally:
            timer.cancel()
            end()
