"""Puts writes that an operator must decide about into quarantine, so that the queue goes on."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.queue import OnResponse, WriteQueue
from nova_cachemig.model.write import HeldWrite, WriteState

LOG = logging.getLogger(__name__)

_PAUSE: Final = 1.0  # seconds between tries


class Quarantine:
    """For one queue."""

    def __init__(self, journal: Journal, queue: WriteQueue, on_response: OnResponse) -> None:
        self._journal = journal
        self._queue = queue
        self._on_response = on_response
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, write: HeldWrite, why: str) -> None:
        """Nobody knows if it was applied; it keeps its place in the ordering until this is done."""
        task = asyncio.create_task(
            self.put(write, WriteState.IN_DOUBT, why), name=f"set aside {write.name}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def put(self, write: HeldWrite | UnreadableWrite, state: WriteState, why: str) -> None:
        """Return when it is set aside."""
        LOG.warning("Write %s/%s set aside: %s", write.service, write.position, why)
        while True:
            try:
                await self._journal.quarantine(write.service, write.position, state, why)
            except Exception:
                LOG.exception("%s/%s: again in 1 s", write.service, write.position)
                await asyncio.sleep(_PAUSE)
            else:
                break
        self._queue.abandon(write, why)
        if isinstance(write, HeldWrite):
            self._on_response(write, None, lambda: None)

    async def stop(self) -> None:
        """Give up what is under way: the next start finds it on disk."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
