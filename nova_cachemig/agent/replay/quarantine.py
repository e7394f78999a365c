"""Puts writes that need the operator's decision into quarantine, so that the queue goes on."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.queue import OnResponse, WriteQueue
from nova_cachemig.model.write import AcceptedWrite, WriteState

LOG = logging.getLogger(__name__)

_RETRY_PAUSE: Final = 1.0  # seconds

# Reasons for clients. The operator's reasons have the details.
CONNECTION_LOST: Final = "the connection to the server was lost before the response was complete"
GIVEN_UP: Final = "the server did not respond in time"
AGENT_FAILED: Final = "the cache node failed to handle the response"
_DAMAGED: Final = "the record of the write is damaged"


class Quarantine:
    """The quarantine of one queue."""

    def __init__(self, journal: Journal, queue: WriteQueue, on_response: OnResponse) -> None:
        self._journal = journal
        self._queue = queue
        self._on_response = on_response
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, write: AcceptedWrite, why: str, public: str) -> None:
        """Quarantine a write in doubt, in the background.

        ``why`` is for the operator, ``public`` for the client. Until this is done, the ordering
        rules still count the write as in flight.
        """
        task = asyncio.create_task(
            self._put(write, WriteState.IN_DOUBT, why, public), name=f"quarantine {write.name}"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def put_damaged(self, write: AcceptedWrite | UnreadableWrite, why: str) -> None:
        """Quarantine a damaged write. Returns when this is on disk."""
        await self._put(write, WriteState.DAMAGED, why, _DAMAGED)

    async def _put(
        self, write: AcceptedWrite | UnreadableWrite, state: WriteState, why: str, public: str
    ) -> None:
        LOG.warning("Write %s/%s is quarantined: %s", write.service, write.position, why)
        while True:
            try:
                await self._journal.quarantine(write.service, write.position, state, why)
            except Exception:
                LOG.exception(
                    "Cannot quarantine %s/%s; next try in 1 s", write.service, write.position
                )
                await asyncio.sleep(_RETRY_PAUSE)
            else:
                break
        self._queue.finish_quarantined(write, public)
        if isinstance(write, AcceptedWrite):
            self._on_response(write, None, lambda: None)

    async def stop(self) -> None:
        """Cancel what is in progress: the next start finds these writes on disk."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
