"""HTTP/1 as bytes, read as leniently as possible: others judge the result."""

from __future__ import annotations

import asyncio
import dataclasses

BODILESS = {204, 304}

Fields = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Message:
    """A request or a response; names of fields in lower case."""

    start: str
    fields: Fields
    body: bytes = b""
    framing: str = "none"  # length, chunked, close or none
    trailers: Fields = ()
    whole: bool = True
    interim: tuple[str, ...] = ()  # the responses before the final one
    after: bytes = b""  # what came behind the last expected response

    def all(self, name: str) -> list[str]:
        """Return the values of a field."""
        return [value for field, value in self.fields if field == name]

    @property
    def status(self) -> int:
        """Of a response; 0 if it is none."""
        parts = self.start.split(" ")
        return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


def parse_head(data: bytes) -> tuple[str, Fields]:
    """Return the start line and the fields of a head."""
    first, *rest = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    return first, parse_fields(rest)


def parse_fields(lines: list[str]) -> Fields:
    """Return the fields of lines. A continued line belongs to the field before."""
    fields: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and fields:
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {line.strip()}")
            continue
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    return tuple(fields)


async def read_head(reader: asyncio.StreamReader) -> tuple[str, Fields]:
    """Read one head; RFC 9112, section 2.2: an empty line may be before it."""
    head = await reader.readuntil(b"\r\n")
    while head == b"\r\n":
        head = await reader.readuntil(b"\r\n")
    while not head.endswith(b"\r\n\r\n"):
        head += await reader.readuntil(b"\r\n")
    return parse_head(head)


async def read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, Fields, bool]:
    """Read a chunked body, as far as it goes."""
    body = b""
    try:
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        lines = []
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            lines.append(line.decode("latin-1").rstrip("\r\n"))
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return body, (), False
    return body, parse_fields(lines), True


async def read_body(reader: asyncio.StreamReader, message: Message, *, to_the_end: bool) -> Message:
    """Return the message with its body; ``to_the_end``: of the connection, if it has no length."""
    codings = [value.lower() for value in message.all("transfer-encoding")]
    if codings and codings[-1].endswith("chunked"):
        body, trailers, whole = await read_chunks(reader)
        return dataclasses.replace(
            message, body=body, trailers=trailers, whole=whole, framing="chunked"
        )
    if lengths := message.all("content-length"):
        try:
            body = await reader.readexactly(int(lengths[0]))
        except asyncio.IncompleteReadError as error:
            return dataclasses.replace(message, body=error.partial, whole=False, framing="length")
        return dataclasses.replace(message, body=body, framing="length")
    if to_the_end:
        return dataclasses.replace(message, body=await read_rest(reader), framing="close")
    return message


async def read_rest(reader: asyncio.StreamReader) -> bytes:
    """Read up to the end of the connection, however it ends."""
    body = b""
    try:
        while data := await reader.read(1 << 16):
            body += data
    except ConnectionError:
        pass
    return body
