"""A client that sends the bytes of a case and reads all that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses

from tests.functional.twin import wire
from tests.functional.twin.case import HALF_CLOSE, PAUSE, WAIT, Case

_PATIENCE = 20.0  # s, for the last response
_QUIET = 0.25  # s, in which nothing more may come
NOTHING = wire.Message("no response", (), whole=False)


async def run(where: tuple[str, int], case: Case) -> tuple[wire.Message, ...]:
    """Return the responses, the last one with everything that follows it."""
    reader, writer = await asyncio.open_connection(*where, limit=1 << 22)
    first = asyncio.Event()  # an interim response, or a final one, has begun
    reading = asyncio.create_task(_read(reader, case, first))
    try:
        with contextlib.suppress(ConnectionError):
            for step in case.sent:
                await _step(writer, step, first)
        async with asyncio.timeout(_PATIENCE):
            return await reading
    except TimeoutError:
        return (NOTHING,)
    finally:
        reading.cancel()
        writer.close()


async def _step(writer: asyncio.StreamWriter, step: bytes, first: asyncio.Event) -> None:
    if step == WAIT:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await first.wait()
    elif step == HALF_CLOSE:
        writer.write_eof()
    elif step == PAUSE:
        await writer.drain()
        await asyncio.sleep(0.05)
    else:
        writer.write(step)
        await writer.drain()


async def _read(
    reader: asyncio.StreamReader, case: Case, first: asyncio.Event
) -> tuple[wire.Message, ...]:
    found: list[wire.Message] = []
    for method in case.methods:
        try:
            found.append(await _response(reader, method, first))
        except (asyncio.IncompleteReadError, ConnectionError):
            found.append(NOTHING)
        if not found[-1].whole:
            break
    after = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_QUIET):
            while data := await reader.read(1 << 16):
                after += data
    found[-1] = dataclasses.replace(found[-1], after=after)
    return tuple(found)


async def _response(
    reader: asyncio.StreamReader, method: str, first: asyncio.Event
) -> wire.Message:
    interim: list[str] = []
    while True:
        start, fields = await wire.read_head(reader)
        first.set()
        message = wire.Message(start, fields)
        if not 100 <= message.status < 200 or message.status == 101:
            break
        interim.append(start)
    message = dataclasses.replace(message, interim=tuple(interim))
    if method == "HEAD" or message.status in wire.BODILESS or message.status == 101:
        return message
    return await wire.read_body(reader, message, to_the_end=True)
