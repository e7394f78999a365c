"""Reads the method of a request, also one that the parser does not know."""

from __future__ import annotations

from typing import Final

from nova_cachemig.agent.intake.http import MAX_METHOD
from nova_cachemig.model.headers import is_token

_PARSED: Final = frozenset(
    {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT"}
)
_PARSED_STARTS: Final = tuple(method + b" " for method in sorted(_PARSED))


class MethodReader:
    """The start of the requests of one connection.

    llhttp knows a list of methods and refuses all others, but a guest may have its own. The parser
    gets POST in their place, because the method does not change how a request ends.
    """

    def __init__(self) -> None:
        self.own: str | None = None
        """The method of the present request, if the parser does not know it."""
        self._starting = True  # the next byte is a method's
        self._start = b""  # the bytes of an incomplete method

    def begin(self) -> None:
        """The next byte begins a request."""
        self._starting = True

    def take(self, data: bytes) -> bytes:
        """Return the bytes for the parser; none until the method is complete."""
        if not self._starting:
            return data
        if not self._start and data.startswith(_PARSED_STARTS):
            self._starting, self.own = False, None
            return data
        self._start = (self._start + data).lstrip(b"\r\n")
        word, space, rest = self._start.partition(b" ")
        if not space and len(word) <= MAX_METHOD and b"\n" not in word:
            return b""
        data, self._start, self._starting = self._start, b"", False
        self.own = None
        if space and word not in _PARSED and is_token(method := word.decode("latin-1")):
            self.own = method
            data = b"POST " + rest
        return data
