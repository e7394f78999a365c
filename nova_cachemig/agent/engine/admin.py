"""HAProxy's admin socket: one lasting connection, many commands.

Only this process writes commands, from words made by :mod:`names`. A word with any other character
is refused here, whatever a caller passes, since a line break or a semicolon begins a command.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from oslo_log import log

from nova_cachemig.agent.ports import ComponentError

LOG = log.getLogger(__name__)

_WORD = re.compile(r"[A-Za-z0-9_.~%|:/\[\]@#=-]+")

_PROMPT = b"\n> "

RETRY_PAUSE = 0.01
"""Seconds."""

LONGEST_LINE = 8000
"""Bytes of commands on one line; HAProxy's buffer has 16 kB."""


class AdminError(ComponentError):
    """HAProxy does not answer, or refused a command."""


def command(*words: str) -> str:
    """One command. Raises AdminError for a word that could be more than a word."""
    for word in words:
        if not _WORD.fullmatch(word):
            raise AdminError(f"{word!r:.80} is not a word for HAProxy's admin socket")
    return " ".join(words)


class Admin:
    """Commands one after the other; reconnects when the connection is lost (a reload, a crash)."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, *commands: str) -> str:
        """Run them in order; what HAProxy printed, stripped. Raises AdminError."""
        return "\n".join(said for said in await self.ask(*commands) if said)

    async def ask(self, *commands: str) -> list[str]:
        """Run them in order; what HAProxy printed for each, stripped. Raises AdminError.

        Only commands that may be repeated: a lost connection (a reload, a crash) is tried again
        until the timeout.
        """
        line = "\n".join(commands)
        if any("\n" in one or ";" in one for one in commands) or len(line) > LONGEST_LINE:
            raise AdminError("the command for HAProxy's admin socket is too long or broken")
        why: Exception | None = None
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout):
                    while True:
                        try:
                            return await self._exchange(line, len(commands))
                        except (OSError, EOFError) as exc:
                            self._drop()
                            why = exc
                        await asyncio.sleep(RETRY_PAUSE)
            except TimeoutError as exc:
                self._drop()
                raise AdminError(
                    f"HAProxy does not answer on {self._path}: {why or 'timeout'}"
                ) from exc
            except asyncio.CancelledError:
                self._drop()  # its answer would be taken for that of the next command
                raise

    async def run_all(self, commands: Sequence[str]) -> None:
        """Run any number; raises AdminError with the first thing that HAProxy printed."""
        said = next((one for one in await self.ask_all(commands) if one), "")
        if said:
            raise AdminError(f"HAProxy refused a command: {said.splitlines()[0]}")

    async def ask_all(self, commands: Sequence[str]) -> list[str]:
        """As :meth:`ask`, for any number: as many at once as HAProxy's buffer takes."""
        said: list[str] = []
        some: list[str] = []
        size = 0
        for one in commands:
            if some and size + len(one) + 1 > LONGEST_LINE:
                said += await self.ask(*some)
                some, size = [], 0
            some.append(one)
            size += len(one) + 1
        return said + (await self.ask(*some) if some else [])

    async def close(self) -> None:
        """End the connection."""
        async with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, lines: str, number: int) -> list[str]:
        if self._streams is None:
            reader, writer = await asyncio.open_unix_connection(str(self._path), limit=64 << 20)
            self._streams = reader, writer
            writer.write(b"prompt\n")
            await reader.readuntil(_PROMPT)
        reader, writer = self._streams
        writer.write(lines.encode() + b"\n")
        said = [await reader.readuntil(_PROMPT) for _ in range(number)]  # one prompt a command
        return [one[: -len(_PROMPT)].decode("utf-8", "replace").strip() for one in said]


async def events(path: Path, ring: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which each new line of a ring arrives. Raises AdminError."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
    except OSError as exc:
        raise AdminError(f"HAProxy does not answer on {path}: {exc}") from exc
    writer.write(f"{command('show', 'events', ring, '-w', '-n')}\n".encode())
    return reader, writer
