"""Calls that end at their deadline, whatever the bus does.

oslo.messaging's timeout begins once it is connected. With RabbitMQ down, its rabbit driver tries
for ever to connect before the first call: the connection of the reply queue ignores ``retry``
(oslo_messaging/_drivers/amqpdriver.py, ``_get_reply_q``). So each call runs in a daemon thread,
which its caller leaves behind at the deadline. While one is left behind, no other begins. Works
with native threads and with eventlet's green threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

GRACE: Final = 0.25
"""Seconds by which a call may outlive its caller before it counts as stuck."""


class OverdueError(Exception):
    """No result before the deadline, or an earlier call is still stuck."""


class _Call:
    def __init__(self, work: Callable[[], Any], deadline: float) -> None:
        self._work = work
        self.deadline = deadline
        self.over = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as exc:  # raised again in the caller's thread
            self.error = exc
        finally:
            self.over.set()


class BoundedCalls:
    """Runs ``work`` and waits at most ``timeout`` seconds for it."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._running: set[_Call] = set()

    def run(self, work: Callable[[], Any], timeout: float) -> Any:
        """The result of ``work``, or its exception; :class:`OverdueError` at the deadline."""
        if self._pid != os.getpid():
            self.__init__()  # type: ignore[misc]  # threads do not survive a fork
        call = _Call(work, time.monotonic() + timeout + GRACE)
        with self._lock:
            self._running = {known for known in self._running if not known.over.is_set()}
            if any(known.deadline < time.monotonic() for known in self._running):
                raise OverdueError("an earlier request still waits for its response")
            self._running.add(call)
        threading.Thread(target=call.run, name="cachemig-call", daemon=True).start()
        if not call.over.wait(timeout):
            raise OverdueError(f"no response within {timeout:.1f} s")
        if call.error is not None:
            if isinstance(call.error, Exception):
                raise call.error
            raise OverdueError(f"the call ended with {call.error!r}")
        return call.result
