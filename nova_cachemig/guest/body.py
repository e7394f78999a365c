"""The body of a request, read completely before the application sees the request."""

from __future__ import annotations

import hashlib
import tempfile
from typing import Final

from nova_cachemig.guest import form

_IN_MEMORY: Final = 64 << 10  # bytes; a longer body goes to an unnamed file


class TooLarge(Exception):
    """The body is larger than the limit."""


class NoRoom(Exception):
    """The disk is full."""


class Body:
    """Collects the bytes of a body, with their digest and number. The user must close it."""

    def __init__(self, limit: int) -> None:
        """``limit`` is in bytes."""
        self.length = 0
        self.file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._limit = limit
        self._state = hashlib.blake2b(digest_size=32)

    def add(self, chunk: bytes) -> None:
        """Append bytes. Raises TooLarge or NoRoom."""
        self.length += len(chunk)
        if self.length > self._limit:
            raise TooLarge
        self._state.update(chunk)
        try:
            self.file.write(chunk)
        except OSError as exc:
            raise NoRoom(str(exc)) from exc

    def rewind(self, boundary: bytes | None = None) -> bytes:
        """Prepare :attr:`file` for reading from its beginning, and return the digest.

        With ``boundary``, the digest is that of a form's parts.
        """
        self.file.seek(0)
        if boundary is None:
            return self._state.digest()
        digest = form.digest(iter(lambda: self.file.read(_IN_MEMORY), b""), boundary)
        self.file.seek(0)
        return digest

    def close(self) -> None:
        """Free the memory and the file."""
        self.file.close()
