"""Notifications for systemd: sd_notify(3) without a library.

systemd sets ``NOTIFY_SOCKET`` for a unit with ``Type=notify``. Without it, every method does
nothing. No notification ever raises: systemd's view must not stop a service.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping


class Notifier:
    """Takes its variables out of ``environ``, so that child processes do not notify systemd."""

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        # A leading "@" stands for the NUL byte of Linux's abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_interval = _watchdog_interval(environ)
        self._status = ""

    def ready(self) -> None:
        """The service serves: units that are ordered after it start now."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The service has begun to stop."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows. The same text again sends nothing."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """Reset the watchdog. Call it at least every :attr:`watchdog_interval` seconds."""
        if self.watchdog_interval is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        ):
            sock.sendto(message.encode(), self._address)


def _watchdog_interval(environ: MutableMapping[str, str]) -> float | None:
    """Seconds: half of ``WatchdogSec``, as sd_watchdog_enabled(3) recommends; None: no watchdog."""
    wanted = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
    limit = environ.pop("WATCHDOG_USEC", "")
    if not limit.isdecimal() or int(limit) == 0 or wanted != str(os.getpid()):
        return None
    return int(limit) / 2e6
