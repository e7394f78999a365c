"""The transport of one connection to the guest: writes, pauses of reading, the socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Final

from nova_cachemig.agent import retransmit
from nova_cachemig.agent.replay import records

# Offsets of tcpi_retransmits (in a row, by timer) and tcpi_unacked (segments) in linux/tcp.h's
# tcp_info.
_TCP_INFO_RETRANSMITS: Final = 2
_TCP_INFO_UNACKED: Final = 24


class Wire:
    """The transport of a connection. Nothing raises an error that the transport is closed."""

    def __init__(self, sock: socket.socket | None) -> None:
        """``sock``: the transport's socket, which the transport closes.

        Without it, nothing is sent as records.
        """
        self._sock = sock  # a transport gives no access to the flags of send()
        self._transport: asyncio.Transport | None = None
        self._paused = False  # the guest's bytes are not read
        self.writable = asyncio.Event()
        """Whether the transport accepts more bytes."""
        self.writable.set()

    def attach(self, transport: asyncio.Transport) -> None:
        """Use this transport from here on."""
        self._transport = transport
        self.limit_buffer(0)

    @property
    def open(self) -> bool:
        """Whether the connection is established and not closing."""
        return self._transport is not None and not self._transport.is_closing()

    # --- writing

    def limit_buffer(self, high: int | None) -> None:
        """Set the bytes above which :attr:`writable` is cleared; None: the default.

        With 0 bytes, the transport sends immediately. uvloop's would send at the end of its turn.
        """
        if self._transport is not None and self.open:
            self._transport.set_write_buffer_limits(high=high)

    def write(self, data: bytes) -> bool:
        """Write, immediately if the socket accepts it. Returns False if the connection is closed.

        Raises ConnectionError if only the guest has closed it; then no byte was sent. Its end is
        still to be read, and before it perhaps a response. The transport would discard both after a
        failed write.
        """
        if self._transport is None or not self.open:
            return False
        sent = self._send_record(self._transport, data)
        if rest := data[sent:]:
            self._transport.write(rest)
        return True

    def _send_record(self, transport: asyncio.Transport, data: bytes) -> int:
        """Send what the socket accepts as one record; return the number of bytes.

        Raises ConnectionError if the guest has closed the connection.
        """
        if self._sock is None:
            return 0
        if transport.get_write_buffer_size():
            return 0  # not before the bytes of an earlier request
        try:
            return records.send(self._sock, data)
        except ConnectionError:
            raise
        except OSError:  # the buffer is full, or the transport's write fails too and is reported
            return 0

    # --- reading

    def read_on(self, wanted: bool) -> None:
        """Read from the guest, or let it wait."""
        if self._transport is None or not self.open or wanted is not self._paused:
            return
        self._paused = not wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # --- the socket

    @property
    def has_lost_segments(self) -> bool:
        """Whether TCP has retransmitted something that is still not acknowledged."""
        if self._transport is None or not self.open:
            return False
        sock = self._transport.get_extra_info("socket")
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_UNACKED + 4)
        unacknowledged = int(struct.unpack_from("=I", info, _TCP_INFO_UNACKED)[0])
        return unacknowledged > 0 and info[_TCP_INFO_RETRANSMITS] > 0

    def retransmit(self) -> bool:
        """Make TCP retransmit now what is not acknowledged. Returns False if it cannot."""
        if self._transport is None or not self.open:
            return False
        return retransmit.request_retransmission(self._transport.get_extra_info("socket"))

    def abort(self) -> None:
        """Close the connection with a reset.

        Without one, the kernel would go on retransmitting the requests, even after they were sent
        again on another connection.
        """
        if self._transport is not None and self.open:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
