"""Sends responses to the edge, whose bodies may be in files or may still arrive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from nova_cachemig.agent.intake.http import Response
from nova_cachemig.agent.journal.cipher import DecryptionError
from nova_cachemig.model.write import Body, Tail

LOG = logging.getLogger(__name__)


class ResponseSender:
    """The responses of one connection. Set :attr:`transport` before the first one."""

    def __init__(
        self, read: Callable[[Body], Iterator[bytes]], release: Callable[[Iterator[bytes]], None]
    ) -> None:
        """``read`` and ``release``: see :class:`protocol.ConnectionOwner`."""
        self.transport: asyncio.Transport | None = None
        self.writable = asyncio.Event()
        """Whether the transport accepts more bytes."""
        self.writable.set()
        self._read = read
        self._release = release
        self._tail: Tail | None = None  # is being sent

    def stop(self) -> None:
        """The connection has ended."""
        self.transport = None
        self.writable.set()
        if self._tail is not None:
            self._tail.close()

    async def send(self, response: Response, method: str, keep_alive: bool) -> bool:
        """Send a response to a request with this method. Returns whether others may follow."""
        if self.transport is None:
            return keep_alive
        bodiless = method == "HEAD"
        data = b"" if bodiless else response.body.data
        self.transport.write(response.head(keep_alive=keep_alive, bodiless=bodiless) + data)
        await self.writable.wait()
        if response.tail is not None:
            return await self._send_tail(response.tail) and keep_alive
        if not bodiless and response.body.spool is not None:
            await self._send_file(response.body)
        return keep_alive

    async def _send_file(self, body: Body) -> None:
        """Send a body from a spool file. If the file ends early, so does the connection."""
        chunks, left = self._read(body), body.length
        try:
            # Await nothing behind the last byte: the client may send its next request.
            while left and (chunk := await asyncio.to_thread(next, chunks, b"")):
                if self.transport is None:
                    return
                left -= len(chunk)
                self.transport.write(chunk)
                await self.writable.wait()
        except (OSError, DecryptionError) as exc:
            LOG.error("Cannot read the body of a response: %s", exc)
        finally:
            self._release(chunks)
        if left and self.transport is not None:
            self.transport.abort()

    async def _send_tail(self, tail: Tail) -> bool:
        """Send a body as it comes from the guest. Returns False if it breaks off.

        Then the end of the connection shows the client that the body is not complete.
        """
        chunked, left, self._tail = tail.length is None, tail.length, tail
        try:
            # Await nothing behind the last byte: the client may send its next request.
            while left != 0 and (data := await tail.read()):
                if self.transport is None:
                    return False
                if left is not None:
                    left -= len(data)
                self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                await self.writable.wait()
        except (EOFError, OSError, DecryptionError) as exc:
            LOG.info("A response is not complete: %s", exc)
            return False
        finally:
            self._tail = None
            tail.close()
        if chunked and self.transport is not None:
            self.transport.write(b"0\r\n\r\n")
        return True
