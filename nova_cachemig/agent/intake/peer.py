"""Whether the edge still waits at the other end of a connection."""

from __future__ import annotations

import asyncio
import select


class Peer:
    """The other end of one connection. Set :attr:`transport`; None: the connection has ended."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None  # for the end of the connection

    def is_connected(self) -> bool:
        """Whether the edge still waits. False also if the event loop has not seen the end yet.

        After a pause of this process, the loop finds a request and the end of its connection
        together. The edge has long sent the request elsewhere, or told its client that it failed.
        """
        if self.transport is None or self.transport.is_closing():
            return False
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return not self._poll.poll(0)
