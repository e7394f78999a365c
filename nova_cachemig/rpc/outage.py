"""One line in the log when the message bus goes down, and one when it works again.

oslo.messaging logs an error at each attempt of each connection. With RabbitMQ down, that is several
lines a second, in nova-compute's log too. This module drops these lines for the connections of
nova-cachemig, and never for those of Nova.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from oslo_log import log

LOG = log.getLogger(__name__)

MIN_INTERVAL: Final = 30.0
"""Seconds between two warnings, if the bus goes down again and again."""

_RECONNECTED: Final = "Reconnected to AMQP server"
_ID: Final = re.compile(r"^\[[0-9a-f-]{36}\] ")
"""The driver's number of a connection."""


class Outage:
    """The state of the bus ``name``, as the connections of this process see it.

    ``clock`` is in seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._down = False
        self._warned: float | None = None

    def failed(self, error: str) -> None:
        """An attempt has failed; log it if it is the first."""
        with self._lock:
            now = self._clock()
            if self._down or (self._warned is not None and now - self._warned < MIN_INTERVAL):
                return
            self._down, self._warned = True, now
        LOG.warning(
            "cachemig: the message bus %s does not work, trying again: %s", self._name, error
        )

    def works(self) -> None:
        """An attempt has succeeded; log it if the bus was down."""
        if not self._down:  # without the lock: each message passes here
            return
        with self._lock:
            down, self._down = self._down, False
        if down:
            LOG.info("cachemig: the message bus %s works again", self._name)


class _Attempt(threading.local):
    """The attempt in progress in this thread, on a connection of nova-cachemig."""

    outage: Outage | None = None
    level: int = logging.ERROR
    """The driver's records from this level up are dropped."""


_attempt = _Attempt()
_outages: dict[str, Outage] = {}


class _Errors(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep a record of the driver."""
        outage = _attempt.outage
        if outage is None:
            return True
        if record.levelno < _attempt.level:
            if _RECONNECTED in str(record.msg):  # a consumer without messages ends no attempt
                outage.works()
            return True
        outage.failed(_ID.sub("", record.getMessage().partition("\n")[0]))
        return False


_errors = _Errors()


def watch(driver: logging.Logger) -> None:
    """Drop the errors of these connections from the logger of oslo.messaging's driver."""
    driver.addFilter(_errors)  # once, however often it is added


def of(name: str) -> Outage:
    """Return this process's outage of a bus."""
    return _outages.setdefault(name, Outage(name))


@contextlib.contextmanager
def quiet(outage: Outage, level: int = logging.ERROR) -> Iterator[None]:
    """Drop what the driver logs meanwhile in this thread at ``level`` or above."""
    before = _attempt.outage, _attempt.level
    _attempt.outage, _attempt.level = outage, level
    try:
        yield
    finally:
        _attempt.outage, _attempt.level = before


@contextlib.contextmanager
def observed(outage: Outage) -> Iterator[None]:
    """Run an attempt of one connection: its errors become the one line."""
    with quiet(outage):
        yield
    outage.works()
