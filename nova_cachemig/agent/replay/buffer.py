"""The writes at buffer: taken up from the backlog, in their order, not on their way."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Sequence
from typing import Final

from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.replay.quarantine import Quarantine
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.agent.replay.request import head
from nova_cachemig.model.write import HeldWrite, WriteState

_LOOKAHEAD: Final = 64  # writes among which those are found that may go side by side
_RUN: Final = 16  # writes that are there to go behind each other; they are taken only from memory


class SendBuffer:
    """Filled while the guest deals with other writes; the first one's bytes are ready to go."""

    def __init__(self, queue: WriteQueue, quarantine: Quarantine, spool: Spool) -> None:
        self._queue = queue
        self._quarantine = quarantine
        self._spool = spool
        self._writes: list[HeldWrite] = []
        self._request: tuple[HeldWrite, bytes] | None = None
        self._sound: HeldWrite | None = None  # the one whose spool file was looked at

    @property
    def writes(self) -> Sequence[HeldWrite]:
        """In their order."""
        return self._writes

    @property
    def first(self) -> HeldWrite | None:
        """The one that is before all others."""
        return self._writes[0] if self._writes else None

    def put(self, write: HeldWrite) -> None:
        """It waits for its turn."""
        bisect.insort(self._writes, write, key=lambda held: held.position)

    def drop(self, write: HeldWrite) -> None:
        """It is on its way."""
        self._writes.remove(write)
        self._request = None

    def request(self, write: HeldWrite) -> bytes:
        """Its bytes, without what is in a spool file."""
        if self._request is None or self._request[0] is not write:
            self._request = (write, head(write) + write.body.data)
        return self._request[1]

    async def fill(self) -> None:
        """Take up the next write, and those that may go with it, if there are any."""
        backlog = self._queue.backlog
        total = self._queue.ordering.total
        most = _RUN if total else _LOOKAHEAD
        while len(self._writes) < most and backlog.has_more():
            if total and self._writes and not backlog.in_memory:
                break  # what is there need not wait for the disk
            write = await backlog.take()
            if isinstance(write, UnreadableWrite):
                await self._quarantine.put(write, WriteState.DAMAGED, write.why)
            elif write is not None and (total or await self._intact(write)):
                self.put(write)
            elif write is not None:
                await self._leave(write)
        # In the total order the others wait: each is looked at when it is the next.
        while total and self._writes and self._sound is not self._writes[0]:
            write = self._writes[0]
            if await self._intact(write):
                self._sound = write
            else:
                self._writes.remove(write)
                await self._leave(write)
        if self._writes:
            self.request(self._writes[0])

    async def _leave(self, write: HeldWrite) -> None:
        why = f"write {write.name}: its spool file {write.body.spool} is damaged"
        await self._quarantine.put(write, WriteState.DAMAGED, why)

    async def _intact(self, write: HeldWrite) -> bool:
        return write.body.spool is None or await asyncio.to_thread(self._spool.intact, write.body)
