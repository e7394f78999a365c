"""The progress log: which write went out and which was answered, to the very last one.

Lines are appended to a file that is never synced: the kernel keeps them when the process is killed,
and loses some when the machine loses power. So a line that is there is always true; that a line is
*not* there says something only while the machine has not been booted since (``boot_id``). Each line
carries a CRC; the first wrong one ends the log (a torn tail).
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import zlib
from pathlib import Path

from nova_cachemig.agent.journal.record import load_headers
from nova_cachemig.model.write import Body, GuestAnswer

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MAGIC = b"cachemig-progress-1 "
_SENT, _ANSWERED = 1, 2
_KEEP_BODY = 65536  # bytes; the body of a larger answer is not worth the copy
_REWRITE_AT = 8 << 20  # bytes of log after which lines that are settled are dropped


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What the log said when it was opened."""

    whole: bool  # nothing is missing: a write without a line was not sent
    sent: frozenset[tuple[str, int]] = frozenset()
    answers: dict[tuple[str, int], GuestAnswer] = dataclasses.field(default_factory=dict)


def _line(kind: int, service: str, position: int, payload: bytes = b"") -> bytes:
    name = service.encode()
    tail = struct.pack("<BHQ", kind, len(name), position) + name + payload
    return struct.pack("<II", len(tail), zlib.crc32(tail)) + tail


def _pack(answer: GuestAnswer) -> bytes:
    body = answer.body
    kept = body.data if body.spool is None and body.length <= _KEEP_BODY else None
    head = [answer.status, answer.headers, body.spool, body.length if kept is None else len(kept)]
    return json.dumps(head).encode() + b"\n" + (kept or b"")


def _unpack(payload: bytes) -> GuestAnswer:
    head, _, data = payload.partition(b"\n")
    status, headers, spool, length = json.loads(head)
    return GuestAnswer(
        status, load_headers(json.dumps(headers)), Body(data=data, spool=spool, length=length)
    )


class ProgressLog:
    """Opened once by the agent that owns the directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._size = 0
        self._open_lines: dict[tuple[str, int], bytes] = {}  # not yet settled in the database

    def open(self) -> Progress:
        """Read what is there. Lines go on being appended until :meth:`reset`."""
        found = self._read()
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return found

    def reset(self) -> None:
        """Begin anew: all that was found is settled in the database."""
        os.ftruncate(self._fd, 0)
        header = _MAGIC + _BOOT_ID.read_bytes().strip() + b"\n"
        os.pwrite(self._fd, header, 0)
        self._size = len(header)
        self._open_lines.clear()

    def close(self) -> None:
        """Close the file; it stays for the next start."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def sent(self, service: str, position: int) -> None:
        """Call before the first byte goes out. Raises OSError: then it must not go out."""
        line = _line(_SENT, service, position)
        self._append(line)
        self._open_lines[service, position] = line

    def answered(self, service: str, position: int, answer: GuestAnswer) -> None:
        """Call when the answer is in. Raises OSError: then a crash leaves it in doubt."""
        line = _line(_ANSWERED, service, position, _pack(answer))
        self._append(line)
        self._open_lines[service, position] = line

    def settled(self, service: str, position: int) -> None:
        """The database has it: the log need not say it any more."""
        self._open_lines.pop((service, position), None)
        if self._size > _REWRITE_AT:
            kept = dict(self._open_lines)
            self._rewrite(b"".join(kept.values()))

    def _append(self, line: bytes) -> None:
        written = os.pwrite(self._fd, line, self._size)
        if written != len(line):  # a full disk takes a part; the next line overwrites it
            raise OSError(f"only {written} of {len(line)} bytes of progress could be written")
        self._size += written

    def _rewrite(self, lines: bytes) -> None:
        fresh = self._path.with_suffix(".new")
        header = _MAGIC + _BOOT_ID.read_bytes().strip() + b"\n"
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        if os.write(fd, header + lines) != len(header) + len(lines):
            os.close(fd)
            raise OSError("the progress log cannot be rewritten")
        fresh.rename(self._path)
        os.close(self._fd)
        self._fd, self._size = fd, len(header) + len(lines)

    def _read(self) -> Progress:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            # never used, or lost: only a database without unsent writes makes this harmless
            return Progress(whole=False)
        header, newline, rest = data.partition(b"\n")
        whole = bool(newline) and header == _MAGIC + _BOOT_ID.read_bytes().strip()
        if not newline or not header.startswith(_MAGIC):
            return Progress(whole=False)
        sent: set[tuple[str, int]] = set()
        answers: dict[tuple[str, int], GuestAnswer] = {}
        at = 0
        while at + 8 <= len(rest):
            length, crc = struct.unpack_from("<II", rest, at)
            tail = rest[at + 8 : at + 8 + length]
            if len(tail) != length or zlib.crc32(tail) != crc or length < 11:
                break
            kind, name_length, position = struct.unpack_from("<BHQ", tail)
            name = tail[11 : 11 + name_length].decode()
            sent.add((name, position))
            if kind == _ANSWERED:
                answers[name, position] = _unpack(tail[11 + name_length :])
            at += 8 + length
        return Progress(whole=whole, sent=frozenset(sent), answers=answers)
