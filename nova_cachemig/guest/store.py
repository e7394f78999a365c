"""The interface of a store of keys."""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

from nova_cachemig.guest.response import Response


class State(enum.Enum):
    """The state of the first request with a key. Stores keep the values, so these never change."""

    IN_FLIGHT = "in_flight"
    RESPONDED = "answered"
    UNKNOWN = "unknown"  # its process has ended without a response


class StoreError(Exception):
    """The store could not read or write. The text is for the log."""


class StoreFull(StoreError):
    """The store takes no further key until others expire."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A stored key. ``response`` is set if ``state`` is ``RESPONDED``."""

    fingerprint: str
    state: State
    response: Response | None = None


class Store(Protocol):
    """A store of keys. Several threads call it at the same time. Calls may block.

    Methods raise only StoreError. The store decides how long it keeps a key after the response, and
    how many keys it takes. It raises StoreFull instead of deleting a key early. When ``claim`` and
    ``record_response`` return, their effect must be durable.
    """

    def claim(self, key: str, fingerprint: str, *, again: bool) -> Record | None:
        """Claim the key atomically. Return None if the caller has it now, else its record.

        With ``again``, the caller can claim a key in state ``UNKNOWN`` with the same fingerprint.
        """

    def record_response(self, key: str, response: Response) -> None:
        """Store the response to the request for which the key was claimed."""

    def mark_unknown(self, key: str) -> None:
        """Record that the request was interrupted, and may have been applied or not."""

    def release(self, key: str) -> None:
        """Delete a claimed key: nothing was applied."""
