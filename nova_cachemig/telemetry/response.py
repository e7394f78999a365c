"""Reads the responses of HTTP servers within a deadline and a limit of bytes.

The timeouts of HTTP clients are for each read, so a server that sends a byte now and then holds
them as long as it likes. A compressed body may be a thousand times as long as the sent one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from nova_cachemig.rpc.bounded import BoundedCalls, OverdueError
from nova_cachemig.telemetry.source import SourceError, UnreachableError

LIMIT: Final = 32 * 2**20
"""Decoded bytes: 1,000 hosts with 360 points each need about 13 MB."""
CHUNK: Final = 8192
"""Bytes to decode at once, where the client lets one choose: at most 8 MB come out."""
ACCEPTED: Final = {"Accept-Encoding": "gzip"}
"""The header of a request whose response :func:`body` can read."""


class TooLargeError(SourceError):
    """The response has more than :data:`LIMIT` bytes."""


class Requests:
    """Runs one request after the other, each for at most ``timeout`` seconds.

    One that is overdue is left behind in its thread. No other begins before it ends.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._calls = BoundedCalls()

    def run(self, request: Callable[[float], Any]) -> Any:
        """Return the result of ``request``, or raise its exception. UnreachableError: overdue.

        ``request`` gets its deadline, for :func:`body`.
        """
        deadline = time.monotonic() + self._timeout
        try:
            return self._calls.run(lambda: request(deadline), self._timeout)
        except OverdueError as exc:
            raise UnreachableError(str(exc)) from exc


def body(encoding: str | None, chunks: Iterable[bytes], deadline: float) -> bytes:
    """Join the decoded chunks of a body. ``encoding`` is its Content-Encoding.

    Raises UnreachableError after ``deadline``, in seconds of the monotonic clock, or SourceError.
    """
    # Each further encoding would multiply the length.
    if (encoding or "identity").lower() not in {"identity", "gzip"}:
        raise SourceError(f"the response has the Content-Encoding {encoding!r:.50}, not gzip")
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > LIMIT:
            raise TooLargeError(f"the response is larger than {LIMIT // 2**20} MiB")
        if time.monotonic() > deadline:
            raise UnreachableError("the response is not complete in time")
    return bytes(found)
