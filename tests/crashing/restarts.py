"""Restarts a database server during the run: alternately a clean restart and kill -9."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol


class Server(Protocol):
    """A server that keeps its data across restarts."""

    def start(self) -> None:
        """Start it. Returns when it accepts connections."""

    def stop(self, *, hard: bool = False) -> None:
        """Stop it. Returns when it has ended."""


class Restarts:
    """Restarts a server repeatedly."""

    def __init__(self, server: Server, every: float, seed: int) -> None:
        """``every``: mean seconds between two restarts."""
        self._server = server
        self._every = every
        self._random = random.Random(seed)
        self.available = asyncio.Lock()
        """Held while the server is down. An agent does not start without its database."""
        self.count = 0

    async def run(self) -> None:
        """Run until cancelled. A restart in progress is completed."""
        while True:
            await asyncio.sleep(self._every * (0.5 + self._random.random()))
            await asyncio.shield(self._restart())

    async def _restart(self) -> None:
        async with self.available:
            await asyncio.to_thread(self._server.stop, hard=self.count % 2 == 1)
            await asyncio.sleep(self._random.random())
            await asyncio.to_thread(self._server.start)
            self.count += 1
