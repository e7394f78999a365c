"""HAProxy's admin socket: one persistent connection for all commands.

Only this process sends commands, built from words that :mod:`names` makes. A line break or a
semicolon would begin another command, so :func:`command` refuses a word with any other character,
whatever the caller passes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from nova_cachemig.agent.ports import ComponentError

# No character of a token (RFC 9110) has a meaning for HAProxy within a word.
_WORD = re.compile(r"[A-Za-z0-9_.~%|:/\[\]@#=!$&'*+^`-]+")

_PROMPT = b"\n> "

RETRY_PAUSE = 0.01
"""Seconds."""

MAX_BATCH = 40_000
"""Bytes of commands in one exchange. HAProxy's buffer has 48 kB."""


class AdminError(ComponentError):
    """HAProxy did not respond, or refused a command."""


class LostError(AdminError):
    """The connection broke. HAProxy may have executed some of the commands."""


def command(*words: str) -> str:
    """Return one command. Raises AdminError for a word that could be more than one word."""
    for word in words:
        if not _WORD.fullmatch(word):
            raise AdminError(f"{word!r:.80} is not a word for HAProxy's admin socket")
    return " ".join(words)


class Admin:
    """Runs commands one after the other; reconnects after a lost connection (a reload, a crash)."""

    def __init__(self, path: Path, timeout: float) -> None:
        """``path`` is the admin socket; ``timeout`` the limit of one exchange in seconds."""
        self._path = path
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def run(self, *commands: str) -> str:
        """Run commands in order; return their output, stripped. Raises AdminError."""
        return "\n".join(output for output in await self.exchange(*commands) if output)

    @property
    def timeout(self) -> float:
        """Limit of one exchange in seconds."""
        return self._timeout

    async def exchange(self, *commands: str, repeat: bool = True) -> list[str]:
        """Run commands in order; return the output of each, stripped. Raises AdminError.

        After a lost connection (a reload, a crash) all of them are sent again, until the timeout.
        Commands that must not be repeated are not: ``repeat`` False raises LostError.
        """
        batch = "\n".join(commands)
        if any("\n" in one or ";" in one for one in commands) or len(batch) > MAX_BATCH:
            raise AdminError("a command for HAProxy's admin socket is too long or malformed")
        cause: Exception | None = None
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout):
                    while True:
                        try:
                            return await self._send(batch, len(commands))
                        except (OSError, EOFError) as exc:
                            self._disconnect()
                            cause = exc
                            if not repeat:
                                raise LostError(f"HAProxy closed {self._path}: {exc}") from exc
                        await asyncio.sleep(RETRY_PAUSE)
            except TimeoutError as exc:
                self._disconnect()
                raise AdminError(
                    f"HAProxy does not respond on {self._path}: {cause or 'timeout'}"
                ) from exc
            except asyncio.CancelledError:
                self._disconnect()  # the next command would read the output of this one
                raise

    async def apply(self, commands: Sequence[str]) -> None:
        """Run any number of commands that print nothing when they succeed.

        Raises AdminError with the first line that HAProxy printed.
        """
        output = next((one for one in await self.exchange_all(commands) if one), "")
        if output:
            raise AdminError(f"HAProxy refused a command: {output.splitlines()[0]}")

    async def exchange_all(self, commands: Sequence[str]) -> list[str]:
        """Like :meth:`exchange` for any number of commands, in as few exchanges as possible."""
        outputs: list[str] = []
        batch: list[str] = []
        size = 0
        for one in commands:
            if batch and size + len(one) + 1 > MAX_BATCH:
                outputs += await self.exchange(*batch)
                batch, size = [], 0
            batch.append(one)
            size += len(one) + 1
        return outputs + (await self.exchange(*batch) if batch else [])

    async def close(self) -> None:
        """Close the connection; the next command opens another."""
        async with self._lock:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _send(self, batch: str, number: int) -> list[str]:
        if self._streams is None:
            reader, writer = await asyncio.open_unix_connection(str(self._path), limit=64 << 20)
            self._streams = reader, writer
            writer.write(b"prompt\n")
            await reader.readuntil(_PROMPT)
        reader, writer = self._streams
        writer.write(batch.encode() + b"\n")
        outputs = [await reader.readuntil(_PROMPT) for _ in range(number)]
        return [one[: -len(_PROMPT)].decode("utf-8", "replace").strip() for one in outputs]


async def follow_ring(path: Path, ring: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection that delivers each new line of a ring. Raises AdminError."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 20)
    except OSError as exc:
        raise AdminError(f"HAProxy does not respond on {path}: {exc}") from exc
    writer.write(f"{command('show', 'events', ring, '-w', '-n')}\n".encode())
    return reader, writer
