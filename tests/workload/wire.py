"""HTTP/1.x on asyncio's streams, as plain as its two users need it: the guest and the clients."""

from __future__ import annotations

import asyncio
import dataclasses

LIMIT = 1 << 20  # bytes of a head


class Malformed(Exception):
    """The other side has not sent HTTP."""


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """The first line and the fields, with lower-case names."""

    first: str
    fields: dict[str, list[str]]

    def get(self, name: str) -> str | None:
        """Return the first value of a field."""
        values = self.fields.get(name)
        return values[0] if values else None

    def tokens(self, name: str) -> set[str]:
        """Return the comma-separated tokens of a field, in lower case."""
        text = ",".join(self.fields.get(name, ()))
        return {token.strip().lower() for token in text.split(",")} - {""}


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read a head. None: the connection ended before it."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if exc.partial:
            raise Malformed(f"the head ends after {exc.partial[:80]!r}") from exc
        return None
    first, *lines = raw[:-4].decode("latin-1").split("\r\n")
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed(f"not a field: {line[:80]!r}")
        fields.setdefault(name.lower(), []).append(value.strip())
    return Head(first, fields)


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    """Read a chunked body and its trailers."""
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        continue
    return b"".join(parts)


def chunked(data: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def content(name: str, size: int) -> bytes:
    """Return the body of the write ``name``: at least its name and a space."""
    line = f"{name} ".encode()
    return (line * (size // len(line) + 1))[: max(size, len(line))]
