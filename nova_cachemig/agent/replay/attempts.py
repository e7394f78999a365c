"""Decides how often, and after which pauses, a write is sent again. Reads no clock."""

from __future__ import annotations

import dataclasses
from typing import Final

_FIRST_PAUSE: Final = 0.2  # seconds; each further pause is twice as long
_LONGEST_PAUSE: Final = 3.0


@dataclasses.dataclass(slots=True)
class _Tries:
    began: float  # when the first try failed
    number: int = 0


class Attempts:
    """The failed tries of the writes of one queue, by position. Times are loop times.

    A try counts only if the guest was reachable all the time: a pause of the guest is no fault of
    the write.
    """

    def __init__(self, tries: int, time: float) -> None:
        """``tries``: how often a write is sent. ``time``: seconds for which it is sent again."""
        self._tries = tries
        self._time = time
        self._failed: dict[int, _Tries] = {}

    def lost(self, position: int, now: float) -> float | None:
        """The connection broke before the response. Return the pause until the next try.

        None: no further try.
        """
        tries = self._failed.setdefault(position, _Tries(now))
        tries.number += 1
        if tries.number >= self._tries or now - tries.began >= self._time:
            return None
        pause: float = _FIRST_PAUSE * 2 ** min(tries.number - 1, 10)
        return min(pause, _LONGEST_PAUSE)

    def may_try_again(self, position: int, now: float) -> bool:
        """Whether a write that the guest asks for again may be sent once more."""
        tries = self._failed.setdefault(position, _Tries(now))
        return now - tries.began < self._time

    def number(self, position: int) -> int:
        """Return how many tries have failed because the connection broke."""
        tries = self._failed.get(position)
        return 0 if tries is None else tries.number

    def forget(self, position: int) -> None:
        """The write has its outcome, or the guest was silent meanwhile: count from zero."""
        self._failed.pop(position, None)
