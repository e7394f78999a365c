"""A database server that is restarted under the run: an operator's restart and kill -9 by turns."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol


class Server(Protocol):
    """What is restarted; it keeps its data."""

    def start(self) -> None:
        """Return when it answers."""

    def stop(self, *, hard: bool = False) -> None:
        """Return when it has ended."""


class Restarts:
    """Restarts a server again and again."""

    def __init__(self, server: Server, every: float, seed: int) -> None:
        """``every``: seconds between two restarts, on the average."""
        self._server = server
        self._every = every
        self._random = random.Random(seed)
        self.there = asyncio.Lock()
        """Held while the server is away. An agent does not start without its database."""
        self.count = 0

    async def run(self) -> None:
        """Until cancelled, which waits for the server's return."""
        while True:
            await asyncio.sleep(self._every * (0.5 + self._random.random()))
            await asyncio.shield(self._restart())

    async def _restart(self) -> None:
        async with self.there:
            await asyncio.to_thread(self._server.stop, hard=self.count % 2 == 1)
            await asyncio.sleep(self._random.random())
            await asyncio.to_thread(self._server.start)
            self.count += 1
