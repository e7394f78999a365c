"""The next writes to send: taken from the backlog, in order, not yet in flight."""

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
from nova_cachemig.model.write import AcceptedWrite

_LOOKAHEAD: Final = 64  # writes searched for those that may be sent in parallel
_PIPELINE_AHEAD: Final = 16  # writes ready to be pipelined; more are taken only from memory


class SendBuffer:
    """Filled while the guest processes other writes. The first write's bytes are ready to send."""

    def __init__(self, queue: WriteQueue, quarantine: Quarantine, spool: Spool) -> None:
        self._queue = queue
        self._quarantine = quarantine
        self._spool = spool
        self._writes: list[AcceptedWrite] = []
        self._encoded: tuple[AcceptedWrite, bytes] | None = None
        self._checked: AcceptedWrite | None = None  # its spool file is intact

    @property
    def writes(self) -> Sequence[AcceptedWrite]:
        """The writes in order."""
        return self._writes

    @property
    def first(self) -> AcceptedWrite | None:
        """The first write in order."""
        return self._writes[0] if self._writes else None

    def add(self, write: AcceptedWrite) -> None:
        """Insert a write at its place in the order."""
        bisect.insort(self._writes, write, key=lambda held: held.position)

    def remove(self, write: AcceptedWrite) -> None:
        """Remove a write that is in flight now."""
        self._writes.remove(write)
        self._encoded = None

    def request_bytes(self, write: AcceptedWrite) -> bytes:
        """Return the request's bytes, without a body in a spool file."""
        if self._encoded is None or self._encoded[0] is not write:
            self._encoded = (write, head(write) + write.body.data)
        return self._encoded[1]

    async def fill(self) -> None:
        """Take the next writes from the backlog. Damaged ones are quarantined."""
        backlog = self._queue.backlog
        is_total = self._queue.ordering.is_total
        wanted = _PIPELINE_AHEAD if is_total else _LOOKAHEAD
        while len(self._writes) < wanted and backlog.has_more():
            if is_total and self._writes and not backlog.next_in_memory:
                break  # the buffered writes need not wait for the disk
            write = await backlog.take()
            if isinstance(write, UnreadableWrite):
                await self._quarantine.put_damaged(write, write.why)
            elif write is not None and (is_total or await self._is_intact(write)):
                self.add(write)
            elif write is not None:
                await self._quarantine_damaged(write)
        if is_total:
            await self._check_first()
        if self._writes:
            self.request_bytes(self._writes[0])

    async def _check_first(self) -> None:
        """In the total order, check each write's spool file only when it is the first."""
        while self._writes and self._checked is not self._writes[0]:
            write = self._writes[0]
            if await self._is_intact(write):
                self._checked = write
            else:
                self._writes.remove(write)
                await self._quarantine_damaged(write)

    async def _quarantine_damaged(self, write: AcceptedWrite) -> None:
        why = f"write {write.name}: its spool file {write.body.spool} is damaged"
        await self._quarantine.put_damaged(write, why)

    async def _is_intact(self, write: AcceptedWrite) -> bool:
        return write.body.spool is None or await asyncio.to_thread(self._spool.intact, write.body)
