"""Decides whether there is room for a request, before and while its body arrives.

The limits also count uploads in progress: many together must not pass a limit that each of them
respects. A request reserves its Content-Length when its head has arrived. A chunked body reserves
each piece.
"""

from __future__ import annotations

from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.intake.http import RETRY_AFTER, Response, problem_response
from nova_cachemig.agent.intake.service import ServiceIntake
from nova_cachemig.agent.journal.space import FreeSpace

_FULL: Final = "Too many writes wait for the server. This write was not accepted."
_NO_DISK: Final = "The disk is full. This write was not accepted."
_UNCHECKED: Final = 1 << 20  # bytes that may arrive between two looks at the disk's free space


class Admission:
    """The limits of the intake."""

    def __init__(self, space: FreeSpace, conf: cfg.ConfigOpts) -> None:
        self._space = space
        self._max_waiting: int = conf.journal.max_waiting
        self._max_bytes: int = conf.journal.max_waiting_bytes
        self.max_body: int = min(conf.journal.max_body or self._max_bytes, self._max_bytes)
        """Bytes. A larger body can never be accepted."""
        self._expected = 0  # reserved bytes that have not arrived
        self._unchecked = 0  # bytes that came since the last look at the disk

    def refusal(self, intake: ServiceIntake, length: int) -> Response | None:
        """Return the refusal of a request with a body of ``length`` bytes, None if it may come."""
        replay = intake.replay
        if (
            replay.waiting + intake.uploads >= self._max_waiting
            or replay.waiting_bytes + intake.upload_bytes + length > self._max_bytes
        ):
            return problem_response(503, _FULL, RETRY_AFTER)
        return None if self._has_room(length) else problem_response(503, _NO_DISK, RETRY_AFTER)

    def refusal_of_piece(self, intake: ServiceIntake, size: int) -> Response | None:
        """Return the refusal of bytes that are not reserved, None if they may come."""
        if intake.upload_bytes + intake.replay.waiting_bytes + size > self._max_bytes:
            return problem_response(503, _FULL, RETRY_AFTER, close=True)
        if not self._has_room(size):
            return problem_response(503, _NO_DISK, RETRY_AFTER, close=True)
        return None

    def too_large(self) -> Response:
        """Return the refusal of a body over the limit."""
        detail = f"The body exceeds {self.max_body} bytes. This write was not accepted."
        return problem_response(413, detail, close=True)

    def expect(self, more: int, arrived: int = 0) -> None:
        """Count ``more`` bytes as reserved, and ``arrived`` ones as on the disk."""
        self._expected += more - arrived
        self._unchecked += arrived

    def _has_room(self, more: int) -> bool:
        look = self._unchecked + more > _UNCHECKED
        if look:
            self._unchecked = 0
        return self._space.has_room(self._expected + more, look=look)


class Arrival:
    """A request from its head until it is accepted or refused.

    A release of the service waits for such requests.
    """

    def __init__(self, admission: Admission, intake: ServiceIntake, length: int) -> None:
        """``length``: bytes to reserve."""
        self._admission = admission
        self._intake: ServiceIntake | None = intake
        self._received = 0
        self._reserved = 0
        intake.uploads += 1
        self.request = intake.replay.arrive()
        self._reserve(length)

    def receive(self, size: int) -> Response | None:
        """Count a piece of the body. Returns a refusal if there is no room for it."""
        if self._intake is None:
            return None
        more = self._received + size - self._reserved
        if more > 0:
            refusal = self._admission.refusal_of_piece(self._intake, more)
            if refusal is not None:
                return refusal
            self._reserve(more)
        self._received += size
        self._admission.expect(0, arrived=size)
        return None

    def stall(self) -> None:
        """Reserve only the bytes that have arrived: an idle client must not keep others out."""
        self._reserve(self._received - self._reserved)

    def end(self) -> None:
        """The request is refused, or accepted: then its queue counts it. Can be called twice."""
        intake = self._intake
        if intake is not None:
            received, self._received = self._received, 0
            self._admission.expect(received)
            self._reserve(-self._reserved)
            self._intake = None
            intake.uploads -= 1
            intake.replay.leave(self.request)

    def _reserve(self, more: int) -> None:
        if self._intake is not None:
            self._reserved += more
            self._intake.upload_bytes += more
            self._admission.expect(more)
