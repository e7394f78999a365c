"""The reports of one connection to the guest: responses in their order, and at last its end."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from collections.abc import Callable

from nova_cachemig.model.write import GuestResponse

OnResponse = Callable[[GuestResponse], None]


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """The end of a connection."""

    why: str
    unanswered: int = 0  # requests that the guest may have, and has not responded to
    processed: bool = True  # else it announced before that it processes no more
    blame: bool = True  # the oldest of them may be why it ended


OnEnd = Callable[[End], None]


@dataclasses.dataclass(slots=True)
class Complete:
    """A complete response that is still to be reported."""

    on_response: OnResponse
    response: GuestResponse
    sealed: bool = True  # else its body is still being written to a spool file


class Reports:
    """The complete responses and the end that the callbacks have not got yet."""

    def __init__(self) -> None:
        self.on_end: OnEnd = lambda _end: None
        self._loop = asyncio.get_running_loop()
        self._complete: collections.deque[Complete] = collections.deque()
        self._end: End | None = None  # behind the responses that are complete

    @property
    def empty(self) -> bool:
        """Whether no response is still to be reported."""
        return not self._complete

    def watch(self, on_end: OnEnd) -> None:
        """Call ``on_end`` once, after all complete responses are reported."""
        self.on_end = on_end
        if self._end is not None:
            self._loop.call_soon(self._report_end)

    def add(self, complete: Complete) -> None:
        """Report a response at the next :meth:`run` after it is sealed."""
        self._complete.append(complete)

    def end(self, end: End) -> None:
        """Report the end."""
        self._end = end
        if not self._complete:
            self._loop.call_soon(self._report_end)

    def run(self) -> None:
        """Report each complete response immediately: the guest waits for the next request.

        Not while data is being parsed: an unsolicited response behind a complete one must not count
        as the response to a request that a callback sends.
        """
        while self._complete and self._complete[0].sealed:
            complete = self._complete.popleft()
            complete.on_response(complete.response)
        if self._end is not None and not self._complete:
            self._loop.call_soon(self._report_end)

    def _report_end(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            self.on_end(end)
