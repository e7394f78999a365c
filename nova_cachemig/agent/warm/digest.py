"""The digest of a body, computed while it arrives, so that no body is kept for a comparison.

A compressed body is decompressed: some servers compress the same page to other bytes each time.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Final

_DECOMPRESSED: Final = 8 << 20  # bytes; 64 KiB that arrive could be 64 MiB
_SIZE: Final = 16


class BodyDigest:
    """``feed`` takes the parts of a body."""

    def __init__(self, encoding: str) -> None:
        """``encoding``: the value of Content-Encoding."""
        self._digest = hashlib.blake2b(digest_size=_SIZE)
        gzip = encoding.strip().lower() in {"gzip", "x-gzip"}
        self._decompressor = zlib.decompressobj(wbits=31) if gzip else None
        self._left = _DECOMPRESSED
        self._failed = self._begun = False

    def feed(self, data: bytes) -> None:
        """Add a part."""
        if self._failed:
            return
        self._begun = True
        if self._decompressor is not None:
            try:
                data = self._decompressor.decompress(data, self._left)
            except zlib.error:
                self._failed = True
                return
            self._left -= len(data)
            # The end of a stream must be the end of the body, and nothing may be left out.
            if self._left <= 0 or self._decompressor.unused_data:
                self._failed = True
                return
        self._digest.update(data)

    def result(self) -> bytes:
        """Return the digest; empty if the body could not be decompressed, or is too large."""
        decompressor = self._decompressor
        cut = decompressor is not None and self._begun and not decompressor.eof
        if self._failed or cut:
            return b""
        return self._digest.digest()
