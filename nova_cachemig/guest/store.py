"""Where keys are kept: the contract."""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

from nova_cachemig.guest.answer import Answer


class State(enum.Enum):
    """Where the first request with a key stands."""

    IN_FLIGHT = "in_flight"
    ANSWERED = "answered"
    UNKNOWN = "unknown"  # who dealt with it is gone, and left no answer


class StoreError(Exception):
    """Nothing could be read or written. Its text is for the log."""


class StoreFull(StoreError):
    """No key more can be kept until others have had their time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A key that is known. ``answer`` is there where ``state`` is ``ANSWERED``."""

    fingerprint: str
    state: State
    answer: Answer | None = None


class Store(Protocol):
    """Calls come from several threads at once and may block. They raise StoreError only.

    How long a key is kept after its answer is the store's own matter, and so is its bound: it
    raises StoreFull rather than forget a key before its time. What ``claim`` and ``answered`` have
    returned must outlive the process.
    """

    def claim(self, key: str, fingerprint: str, *, again: bool) -> Record | None:
        """Take the key, atomically: None where it is the caller's now, else what is known of it.

        A key in state ``UNKNOWN`` with the same fingerprint can be taken if ``again`` is true.
        """

    def answered(self, key: str, answer: Answer) -> None:
        """Keep the answer to the request for which the key was claimed."""

    def unknown(self, key: str) -> None:
        """Nobody deals with the request any more, and whether it was applied is not known."""

    def release(self, key: str) -> None:
        """Forget a claimed key: nothing was applied."""
