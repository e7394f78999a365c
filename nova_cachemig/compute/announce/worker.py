"""One thread that does work at its time, so that events of libvirt never wait for it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final

from nova_cachemig.rpc.faults import Faults

LIMIT: Final = 1000
"""Pieces of work that wait; more are dropped."""


class Worker:
    """The thread starts with the first piece of work and outlives any exception."""

    def __init__(self, faults: Faults, clock: Callable[[], float] = time.monotonic) -> None:
        self._faults = faults
        self._clock = clock
        self._numbers = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def put(self, work: Callable[[], object], delay: float = 0.0) -> None:
        """Do ``work`` in ``delay`` seconds, in the order of the calls. Never waits."""
        with self._changed:
            if len(self._queue) >= LIMIT:
                self._faults.note("an announcement was dropped", "too many guests migrate")
                return
            heapq.heappush(self._queue, (self._clock() + delay, next(self._numbers), work))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="cachemig-announce", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def stop(self, timeout: float) -> bool:
        """Drop what waits and end after the current piece; whether that took < ``timeout`` s."""
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except Exception as exc:  # fail open: the next guest may be luckier
                self._faults.note(f"announcing a guest failed ({type(exc).__name__})", exc)

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._stopped:
                wait = self._queue[0][0] - self._clock() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)
        return None
