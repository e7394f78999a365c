"""Sends casts in a separate thread, so that the caller never waits.

oslo.messaging connects while it casts, and waits while it connects: with RabbitMQ down, even
``retry=0`` costs a connection timeout. Works with native threads and with eventlet's green threads.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from nova_cachemig.rpc.faults import Faults

QUEUE_LIMIT: Final = 1000
MAX_AGE: Final = 60.0
"""Seconds after which a cast that could not be sent is dropped: it would come too late."""
_BACKOFF: Final = (0.25, 0.5, 1.0, 2.0)


class QueuedCast:
    """One cast in the queue. ``tried`` is set after the first attempt to send it."""

    def __init__(self, method: str, arguments: dict[str, Any], created: float) -> None:
        self.method = method
        self.arguments = arguments
        self.created = created
        self.tried = threading.Event()
        self.sent = False
        self.error: str | None = None

    def delivered(self, timeout: float) -> bool:
        """Whether the bus has it. Waits up to ``timeout`` seconds, but not after a failure."""
        self.tried.wait(timeout)
        return self.sent

    def failed(self, error: str) -> None:
        """Record a failed attempt. The queue may try again; the caller should not wait."""
        self.error = error
        self.tried.set()

    def succeeded(self) -> None:
        """Record that the bus has it."""
        self.sent, self.error = True, None
        self.tried.set()


@dataclasses.dataclass(frozen=True, slots=True)
class CastCounts:
    """Since the process began, except ``waiting``."""

    sent: int
    dropped: int
    waiting: int


class CastQueue:
    """A bounded queue and one thread, which starts with the first cast.

    The order is kept. ``send`` may block and raises if the cast was not sent. When the queue is
    full, the oldest cast is dropped.
    """

    def __init__(
        self,
        send: Callable[[str, dict[str, Any]], None],
        faults: Faults,
        *,
        limit: int = QUEUE_LIMIT,
        max_age: float = MAX_AGE,
    ) -> None:
        self._send = send
        self._faults = faults
        self._limit = limit
        self._max_age = max_age
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._queue: collections.deque[QueuedCast] = collections.deque()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._causes: set[str] = set()
        self._sent = self._dropped = 0

    def put(self, method: str, arguments: dict[str, Any]) -> QueuedCast:
        """Queue a cast; never waits."""
        if self._pid != os.getpid():
            self._reset()  # threads do not survive a fork
        cast = QueuedCast(method, arguments, time.monotonic())
        with self._ready:
            if len(self._queue) >= self._limit:
                self._drop(self._queue.popleft(), "the queue is full")
            self._queue.append(cast)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cachemig-rpc", daemon=True)
                self._thread.start()
            self._ready.notify()
        return cast

    def counts(self) -> CastCounts:
        """How many casts were sent, were dropped, and wait."""
        return CastCounts(self._sent, self._dropped, len(self._queue))

    def stop(self, timeout: float = 1.0) -> None:
        """Send what can be sent within ``timeout`` seconds, then end the thread."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _drop(self, cast: QueuedCast, why: str) -> None:
        self._dropped += 1
        cast.failed(why)
        self._faults.note("a cast was dropped", f"{cast.method}: {why}")

    def _run(self) -> None:
        failures = 0
        while (cast := self._next()) is not None:
            if self._attempt(cast):
                failures = 0
                self._remove(cast)
                self._faults.recovered(*self._causes)
                self._causes.clear()
                continue
            if time.monotonic() - cast.created > self._max_age:
                self._remove(cast, lost=f"not sent for {self._max_age:.0f} s")
                continue
            pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            failures += 1
            with self._ready:
                if not self._stopped:
                    # A new cast does not shorten this: it would meet the same failure.
                    self._ready.wait_for(lambda: self._stopped, pause)

    def _next(self) -> QueuedCast | None:
        with self._ready:
            self._ready.wait_for(lambda: self._queue or self._stopped)
            return self._queue[0] if self._queue and not self._given_up() else None

    def _given_up(self) -> bool:
        return self._stopped and self._queue[0].error is not None

    def _attempt(self, cast: QueuedCast) -> bool:
        try:
            self._send(cast.method, cast.arguments)
        # BaseException: whatever ended this thread would also end every later cast.
        except BaseException as exc:
            cast.failed(f"{type(exc).__name__}: {exc}")
            cause = f"cannot send a cast ({type(exc).__name__})"
            self._causes.add(cause)
            self._faults.note(cause, exc)
            return False
        self._sent += 1
        cast.succeeded()
        return True

    def _remove(self, cast: QueuedCast, lost: str | None = None) -> None:
        with self._ready:
            if self._queue and self._queue[0] is cast:  # else: dropped because the queue was full
                self._queue.popleft()
            else:
                return
        if lost is not None:
            self._drop(cast, lost)
