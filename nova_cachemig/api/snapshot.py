"""Copies of the agent's state, so that clients of the API do not load it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, TypeVar

from nova_cachemig.api.errors import ApiError
from nova_cachemig.model.handover import HandoverId, HandoverRecord

T = TypeVar("T")

_FINAL_AFTER: Final = 300.0
"""Seconds after its end from which a handover no longer changes, with clocks that differ."""


class Snapshot(Generic[T]):
    """A value that is loaded again after ``age`` seconds, by one thread while the others wait.

    A failed load counts too: the waiting threads get the same error.
    """

    def __init__(
        self, load: Callable[[], T], age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._age = age
        self._clock = clock
        self._lock = threading.Lock()
        self._at: float | None = None
        self._value: T
        self._error: ApiError | None = None

    def get(self) -> T:
        """The value. Raises the ApiError of the load."""
        with self._lock:
            if self._at is None or self._clock() - self._at >= self._age:
                try:
                    self._value, self._error = self._load(), None
                except ApiError as exc:
                    self._error = exc
                self._at = self._clock()
            if self._error is not None:
                raise ApiError(self._error.status, self._error.detail)
            return self._value


class KnownHandovers:
    """The newest handovers. It reads only the pages in which something may have changed."""

    def __init__(
        self,
        page: Callable[[int, int], Sequence[HandoverRecord]],
        most: int,
        size: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``page``: returns at most so many handovers, without the first so many."""
        self._page = page
        self._most = most
        self._size = size
        self._clock = clock
        self._known: dict[HandoverId, HandoverRecord] = {}

    def refresh(self) -> list[HandoverRecord]:
        """Return the handovers, the newest first."""
        final = {record.id for record in self._known.values() if self._is_final(record)}
        open_ones = self._known.keys() - final
        found: dict[HandoverId, HandoverRecord] = {}
        while len(found) < self._most:
            offset = len(found)
            size = min(self._size, self._most - offset)
            part = self._page(size, offset)
            found |= {record.id: record for record in part}
            if len(part) < size or len(found) == offset:
                self._known = found
                break
            if part[-1].id in final and open_ones <= found.keys():
                found = self._known | found
                break
        self._known = {record.id: record for record in self._newest(found.values())}
        return list(self._known.values())

    def _newest(self, records: Iterable[HandoverRecord]) -> list[HandoverRecord]:
        return sorted(records, key=lambda record: record.started, reverse=True)[: self._most]

    def _is_final(self, record: HandoverRecord) -> bool:
        return record.ended is not None and record.ended < self._clock() - _FINAL_AFTER
