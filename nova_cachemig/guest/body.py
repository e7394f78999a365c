"""A request's body, taken in before the application sees the request."""

from __future__ import annotations

import hashlib
import tempfile
from typing import Final

_IN_MEMORY: Final = 64 << 10  # bytes; the rest is in a file without a name


class TooLarge(Exception):
    """More than the limit."""


class NoRoom(Exception):
    """The disk is full."""


class Body:
    """Bytes as they come in; their digest and their number. Close it."""

    def __init__(self, limit: int) -> None:
        """``limit``: bytes."""
        self.length = 0
        self.file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._limit = limit
        self._state = hashlib.blake2b(digest_size=32)

    def add(self, chunk: bytes) -> None:
        """Take the next bytes. Raises TooLarge or NoRoom."""
        self.length += len(chunk)
        if self.length > self._limit:
            raise TooLarge
        self._state.update(chunk)
        try:
            self.file.write(chunk)
        except OSError as exc:
            raise NoRoom(str(exc)) from exc

    def rewind(self) -> bytes:
        """It is complete: :attr:`file` is to be read from its beginning. Return the digest."""
        self.file.seek(0)
        return self._state.digest()

    def close(self) -> None:
        """Let go of the memory and the file."""
        self.file.close()
