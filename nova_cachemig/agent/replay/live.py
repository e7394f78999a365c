"""The body of a response whose client gets it before it is complete."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Iterator
from typing import Final

from nova_cachemig.agent.journal.upload import MemoryBudget

_PAUSE: Final = 65536  # bytes in memory above which the connection is not read


class LiveBody:
    """The connection's side: the bytes between the guest and the client's :class:`Tail`."""

    def __init__(
        self, read_on: Callable[[bool], None], abort: Callable[[], None], budget: MemoryBudget
    ) -> None:
        """``read_on``: whether the connection shall be read. ``abort`` closes it.

        ``budget`` counts the bytes in memory.
        """
        self.before: Iterator[bytes] | None = None  # what arrived first; reading it blocks
        self.ended = False  # nothing more arrives
        self.whole = False  # and all of it has arrived
        self._read_on = read_on
        self._abort = abort
        self._budget = budget
        self._chunks: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._abandoned = False

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self._abandoned:
            return
        self._chunks.append(data)
        self._count(len(data))
        self._changed.set()
        if self._size > _PAUSE:
            self._read_on(False)

    def end(self, *, whole: bool) -> None:
        """Nothing more arrives. Without ``whole``, the body broke off."""
        if not self.ended:
            self.ended, self.whole = True, whole
            self._changed.set()

    def abandon(self) -> None:
        """The reader has left."""
        self._abandoned = True
        self._chunks.clear()
        self._count(-self._size)
        self._changed.set()
        self.before = None
        if not self.ended:
            self._abort()

    async def next(self) -> bytes:
        """Return the next bytes, none at the end. Raises EOFError if the body breaks off."""
        while self.before is not None:
            chunk = await asyncio.to_thread(next, self.before, None)
            if chunk is None:
                self.before = None
            elif chunk:
                return chunk
        while not self._chunks:
            if self._abandoned or (self.ended and not self.whole):
                raise EOFError("the body breaks off")
            if self.ended:
                return b""
            self._changed.clear()
            self._read_on(True)
            await self._changed.wait()
        chunk = self._chunks.popleft()
        self._count(-len(chunk))
        return chunk

    def _count(self, size: int) -> None:
        self._size += size
        self._budget.add(size)


class Tail:
    """The client's side. The connection is closed when it is garbage.

    Implements ``model.write.Tail``.
    """

    def __init__(self, body: LiveBody, length: int | None) -> None:
        self.length = length
        self._body: LiveBody | None = body
        self._loop = asyncio.get_running_loop()

    async def read(self) -> bytes:
        """See :class:`nova_cachemig.model.write.Tail`."""
        if self._body is None:
            raise EOFError("the reader has left")
        return await self._body.next()

    def close(self) -> None:
        """See :class:`nova_cachemig.model.write.Tail`."""
        body, self._body = self._body, None
        if body is not None:
            body.abandon()

    def __del__(self) -> None:
        if self._body is not None and not self._loop.is_closed():
            # The collector may run in any thread.
            self._loop.call_soon_threadsafe(self._body.abandon)
