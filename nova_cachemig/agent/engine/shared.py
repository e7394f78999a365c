"""One question to HAProxy for all tasks that ask it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Asks on behalf of many. Each caller gets an answer that was given after its call."""

    def __init__(self, ask: Callable[[], Awaitable[T]], rest: float = 0.0) -> None:
        """``rest``: seconds between two questions, at least. For callers that poll."""
        self._ask = ask
        self._rest = rest
        self._asking = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._asked_at = -rest

    async def get(self) -> T:
        """Return the next answer. Raises what the question raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._run())
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with self._asking:
                pause = self._asked_at + self._rest - loop.time()
                if pause > 0:
                    await asyncio.sleep(pause)
                self._next = None  # callers from now on get a later answer
                try:
                    return await self._ask()
                finally:
                    self._asked_at = loop.time()
        except asyncio.CancelledError:
            self._next = None
            raise


def _retrieve(task: asyncio.Task[T]) -> None:
    """All callers may have been cancelled: let asyncio not complain about the error."""
    if not task.cancelled():
        task.exception()
