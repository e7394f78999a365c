"""The progress log: which write went out and which was answered, to the very last one.

Lines are put into a mapped file that is never synced: the kernel keeps them when the process is
killed, and loses some when the machine loses power. So a line that is there is always true; that a
line is *not* there says something only while the machine has not been booted since (``boot_id``).
Each line carries a CRC; the first wrong one ends the log (a torn tail).

A mapping and not write(2), because a system call lets another thread take the interpreter, which
costs more than all else between two replayed writes. Its room is allocated beforehand: no line can
meet a full disk.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import mmap
import os
import struct
import zlib
from pathlib import Path

from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, Undecipherable
from nova_cachemig.model.write import Body, GuestResponse, Headers

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MAGIC = b"cachemig-progress-1 "
_SENT, _ANSWERED, _ANSWERED_ENCRYPTED = 1, 2, 3
_KEEP_BODY = 8192  # bytes; the body of a larger answer is not worth the copy
_ROOM = 8 << 20  # bytes of the file; when they are used up, lines that are recorded are dropped
_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What the log said when it was opened."""

    whole: bool  # nothing is missing: a write without a line was not sent
    sent: frozenset[tuple[str, int]] = frozenset()
    answers: dict[tuple[str, int], GuestResponse] = dataclasses.field(default_factory=dict)
    # name of the key with which an answer is encrypted
    key_ids: dict[tuple[str, int], str] = dataclasses.field(default_factory=dict)


def _line(kind: int, service: str, position: int, payload: bytes = b"") -> bytes:
    name = service.encode()
    tail = struct.pack("<BHQ", kind, len(name), position) + name + payload
    return struct.pack("<II", len(tail), zlib.crc32(tail)) + tail


@functools.lru_cache(maxsize=16)  # of one second, a guest's answers often have the same
def _head(status: int, headers: Headers, length: int) -> bytes:
    return _JSON([status, headers, length]).encode() + b"\n"


def _pack(answer: GuestResponse) -> bytes:
    body = answer.body
    kept = body.data if body.length <= _KEEP_BODY else b""
    return _head(answer.status, answer.headers, body.length) + kept


def _about(service: str, position: int) -> bytes:
    return repr(("progress", service, position)).encode()


def _pack_encrypted(cipher: Cipher, service: str, position: int, answer: GuestResponse) -> bytes:
    assert cipher.key_id is not None
    head = struct.pack("<HB", answer.status, len(cipher.key_id)) + cipher.key_id.encode()
    return head + cipher.encrypt(_pack(answer), _about(service, position))


def _unpack_encrypted(
    cipher: Cipher, service: str, position: int, payload: bytes
) -> tuple[GuestResponse, str]:
    """Return the answer and the name of its key."""
    status, length = struct.unpack_from("<HB", payload)
    key_id = payload[3 : 3 + length].decode()
    try:
        packed = cipher.decrypt(key_id, payload[3 + length :], _about(service, position))
    except Undecipherable as exc:
        # that the guest has answered is known: the write is not sent again
        why = f"answered; the rest of the answer is lost: {exc}"
        return GuestResponse(status, (("cachemig-write", why),)), key_id
    return _unpack(packed), key_id


def _unpack(payload: bytes) -> GuestResponse:
    head, _, data = payload.partition(b"\n")
    status, headers, length = json.loads(head)
    pairs = tuple((str(name), str(value)) for name, value in headers)
    if len(data) != length:
        pairs += (("cachemig-write", "answered; the body of the answer was lost in a crash"),)
    return GuestResponse(status, pairs, Body.of(data))


class ProgressLog:
    """Opened once by the agent that owns the directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._size = 0  # bytes used
        self._open_lines: dict[tuple[str, int], bytes] = {}  # not yet recorded in the database
        self._cipher = CLEAR

    def open(self, cipher: Cipher = CLEAR) -> Progress:
        """Return what is there; answers are encrypted from now on where ``cipher`` has a key.

        Call :meth:`reset` before the first line.
        """
        self._cipher = cipher
        return self._read()

    def reset(self) -> None:
        """Begin anew: all that was found is recorded in the database. Raises OSError."""
        self._open_lines.clear()
        self._rewrite()

    def close(self) -> None:
        """Close the file; it stays for the next start."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def sent(self, service: str, position: int) -> None:
        """Call before the first byte goes out. Raises OSError: then it must not go out."""
        self._append((service, position), _line(_SENT, service, position))

    def answered(self, service: str, position: int, answer: GuestResponse) -> None:
        """Call when the answer is in. Raises OSError: then a crash leaves it in doubt."""
        if self._cipher.key_id is None:
            line = _line(_ANSWERED, service, position, _pack(answer))
        else:
            payload = _pack_encrypted(self._cipher, service, position, answer)
            line = _line(_ANSWERED_ENCRYPTED, service, position, payload)
        self._append((service, position), line)

    def recorded(self, service: str, position: int) -> None:
        """The database has it: the log need not say it any more."""
        self._open_lines.pop((service, position), None)

    def _append(self, name: tuple[str, int], line: bytes) -> None:
        assert self._map is not None, "the progress log is not open"
        if self._size + len(line) > _ROOM:
            self._rewrite()
        end = self._size + len(line)
        if end > _ROOM:
            raise OSError(errno.ENOSPC, "too many writes are under way for the progress log")
        self._map[self._size : end] = line
        self._size = end
        self._open_lines[name] = line

    def _rewrite(self) -> None:
        """Take a fresh file with the lines that still matter. Raises OSError; the old one stays."""
        content = b"".join(
            [_MAGIC, _BOOT_ID.read_bytes().strip(), b"\n", *self._open_lines.values()]
        )
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _ROOM)
            mapped = mmap.mmap(fd, _ROOM)
        finally:
            os.close(fd)
        mapped[: len(content)] = content
        fresh.rename(self._path)
        if self._map is not None:
            self._map.close()
        self._map, self._size = mapped, len(content)

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
        answers: dict[tuple[str, int], GuestResponse] = {}
        key_ids: dict[tuple[str, int], str] = {}
        at = 0
        while at + 8 <= len(rest):
            length, crc = struct.unpack_from("<II", rest, at)
            tail = rest[at + 8 : at + 8 + length]
            if len(tail) != length or zlib.crc32(tail) != crc or length < 11:
                break
            kind, name_length, position = struct.unpack_from("<BHQ", tail)
            name = tail[11 : 11 + name_length].decode()
            sent.add((name, position))
            payload = tail[11 + name_length :]
            if kind == _ANSWERED:
                answers[name, position] = _unpack(payload)
            elif kind == _ANSWERED_ENCRYPTED:
                answer, key_id = _unpack_encrypted(self._cipher, name, position, payload)
                answers[name, position] = answer
                key_ids[name, position] = key_id
            at += 8 + length
        return Progress(whole, frozenset(sent), answers, key_ids)
