"""Ports for servers of tests that run in several processes."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import Final

_FIRST: Final = 21000
_LAST: Final = 32000
"""Below the ports that the kernel gives to clients: none takes one before its server listens."""

_NEWEST: Final = Path(tempfile.gettempdir(), f"cachemig-port-{os.getuid()}")
"""The port that was given last, by any process."""


def free_port() -> int:
    """Return a port of the loopback interface that no program uses now, nor another test soon."""
    with _NEWEST.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        port = int(text) if text.isdecimal() else _FIRST
        while True:
            port = port + 1 if port < _LAST else _FIRST
            if _is_free(port):
                break
        file.truncate(0)
        file.write(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
