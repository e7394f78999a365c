"""Carries casts to the bus in a thread of its own, so that who tells something never waits.

oslo.messaging connects while it casts, and waits while it connects: with RabbitMQ down even
``retry=0`` costs a connection timeout. Works with native threads and where eventlet has put green
ones in their place.
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
"""Seconds after which a message that could not be sent is dropped: its moment is long over."""
_BACKOFF: Final = (0.25, 0.5, 1.0, 2.0)


class Parcel:
    """One message on its way. ``settled`` is set at its first success or failure."""

    def __init__(self, method: str, arguments: dict[str, Any], born: float) -> None:
        self.method = method
        self.arguments = arguments
        self.born = born
        self.settled = threading.Event()
        self.sent = False
        self.error: str | None = None

    def delivered(self, timeout: float) -> bool:
        """Whether the bus has it; waits up to ``timeout`` seconds, but not after a failure."""
        self.settled.wait(timeout)
        return self.sent

    def failed(self, error: str) -> None:
        """It may be tried again; nobody should wait for that."""
        self.error = error
        self.settled.set()

    def succeeded(self) -> None:
        """The bus has it."""
        self.sent, self.error = True, None
        self.settled.set()


@dataclasses.dataclass(frozen=True, slots=True)
class CourierCounts:
    """Since the process began, except ``waiting``."""

    sent: int
    dropped: int
    waiting: int


class Courier:
    """A bounded queue and one thread, which begins with the first message.

    The order is kept. ``send`` blocks as long as it likes and raises if the message did not go.
    Of a full queue the oldest message is dropped.
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
        self._queue: collections.deque[Parcel] = collections.deque()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._causes: set[str] = set()
        self._sent = self._dropped = 0

    def post(self, method: str, arguments: dict[str, Any]) -> Parcel:
        """Take a message; never waits."""
        if self._pid != os.getpid():
            self._reset()  # threads do not survive a fork
        parcel = Parcel(method, arguments, time.monotonic())
        with self._ready:
            if len(self._queue) >= self._limit:
                self._drop(self._queue.popleft(), "the queue is full")
            self._queue.append(parcel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cachemig-rpc", daemon=True)
                self._thread.start()
            self._ready.notify()
        return parcel

    def counts(self) -> CourierCounts:
        """How many messages went, were lost, wait."""
        return CourierCounts(self._sent, self._dropped, len(self._queue))

    def stop(self, timeout: float = 1.0) -> None:
        """Send what can be sent within ``timeout`` seconds, then end the thread."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _drop(self, parcel: Parcel, why: str) -> None:
        self._dropped += 1
        parcel.failed(why)
        self._faults.note("a message to the agent was dropped", f"{parcel.method}: {why}")

    def _run(self) -> None:
        failures = 0
        while (parcel := self._next()) is not None:
            if self._attempt(parcel):
                failures = 0
                self._forget(parcel)
                self._faults.recovered(*self._causes)
                self._causes.clear()
                continue
            if time.monotonic() - parcel.born > self._max_age:
                self._forget(parcel, lost=f"not sent for {self._max_age:.0f} s")
                continue
            pause = _BACKOFF[min(failures, len(_BACKOFF) - 1)]
            failures += 1
            with self._ready:
                if not self._stopped:
                    # A new message does not shorten this: it would meet the same failure.
                    self._ready.wait_for(lambda: self._stopped, pause)

    def _next(self) -> Parcel | None:
        with self._ready:
            self._ready.wait_for(lambda: self._queue or self._stopped)
            return self._queue[0] if self._queue and not self._given_up() else None

    def _given_up(self) -> bool:
        return self._stopped and self._queue[0].error is not None

    def _attempt(self, parcel: Parcel) -> bool:
        try:
            self._send(parcel.method, parcel.arguments)
        # Not only Exception: whatever ends this thread would end every later message too.
        except BaseException as exc:
            parcel.failed(f"{type(exc).__name__}: {exc}")
            cause = f"cannot tell the agent ({type(exc).__name__})"
            self._causes.add(cause)
            self._faults.note(cause, exc)
            return False
        self._sent += 1
        parcel.succeeded()
        return True

    def _forget(self, parcel: Parcel, lost: str | None = None) -> None:
        with self._ready:
            if self._queue and self._queue[0] is parcel:  # else: dropped for want of room
                self._queue.popleft()
            else:
                return
        if lost is not None:
            self._drop(parcel, lost)
