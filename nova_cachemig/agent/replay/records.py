"""Sends bytes as one record of a TCP socket.

TCP never merges a record with the bytes behind it. Without records it may retransmit two writes in
one segment. If the guest had only the first of them at its pause, it acknowledges half of that
segment. TCP then considers the other half to be in flight, and sends nothing until its timer
expires after a second.
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Final

# Combined here, because each ``|`` of two flags makes an object of their class.
_FLAGS: Final = int(socket.MSG_EOR | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

# socket.send() releases the interpreter lock. If the thread that commits takes it, the next write
# waits for that thread's next system call. A send that never blocks needs no release.
_send = ctypes.PyDLL(None, use_errno=True).send
_send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
_send.restype = ctypes.c_ssize_t


def send(sock: socket.socket, data: bytes) -> int:
    """Send what the socket accepts; return the number of bytes. Never waits.

    Raises ConnectionError if the other side has closed the connection, else OSError.
    """
    sent = int(_send(sock.fileno(), data, len(data), _FLAGS))
    if sent < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))  # the subclass that belongs to the error
    return sent
