"""The progress log: which writes were sent and which got a response, up to the very last one.

Entries go into a memory-mapped file that is not synced while the agent runs. The kernel keeps them
if the process is killed. It may lose some if the machine loses power, or if the file system is
taken away. So an entry that exists is always true. A *missing* entry means something only if the
log is complete, which its first line shows:

* It has the generation of the database's owner. Otherwise another agent has sent writes since, or
  the file is an older one that a power failure has brought back.
* The agent has stopped and synced the log (``clean``), or boot and mount are still the same
  (:mod:`.incarnation`).

Each entry has a CRC; the first wrong one ends the log (a torn tail).

A mapping replaces write(2) because a system call lets another thread take the interpreter, which
costs more than all else between two replayed writes. The file is allocated in advance, so no entry
can fail on a full disk.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import json
import logging
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from nova_cachemig.agent.journal import incarnation
from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, DecryptionError
from nova_cachemig.agent.journal.spool import sync_directory
from nova_cachemig.model.write import Body, GuestResponse, Headers

LOG = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_FORMER_MAGIC = b"cachemig-progress-1 "  # the boot id follows
_MAGIC = b"cachemig-progress-2 "
_OPEN, _CLEAN = b"open  ", b"synced"
_SENT, _RESPONSE, _ENCRYPTED_RESPONSE = 1, 2, 3  # kinds of entries
_MAX_BODY = 8192  # bytes; a larger body of a response is not logged
_SIZE = 8 << 20  # bytes of the file; when they are used up, obsolete entries are dropped
_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """The content of the log when it was opened."""

    complete: bool  # no entry is missing: a write without an entry was not sent
    sent: frozenset[tuple[str, int]] = frozenset()
    responses: dict[tuple[str, int], GuestResponse] = dataclasses.field(default_factory=dict)
    # names of the keys with which the responses are encrypted
    key_ids: dict[tuple[str, int], str] = dataclasses.field(default_factory=dict)


def _entry(kind: int, service: str, position: int, payload: bytes = b"") -> bytes:
    name = service.encode()
    tail = struct.pack("<BHQ", kind, len(name), position) + name + payload
    return struct.pack("<II", len(tail), zlib.crc32(tail)) + tail


@functools.lru_cache(maxsize=16)  # a guest's responses of one second are often alike
def _head(status: int, headers: Headers, length: int) -> bytes:
    return _JSON([status, headers, length]).encode() + b"\n"


def _pack(response: GuestResponse) -> bytes:
    body = response.body
    kept = body.data if body.length <= _MAX_BODY else b""
    return _head(response.status, response.headers, body.length) + kept


def _place(service: str, position: int) -> bytes:
    return repr(("progress", service, position)).encode()


def _pack_encrypted(cipher: Cipher, service: str, position: int, response: GuestResponse) -> bytes:
    assert cipher.key_id is not None
    head = struct.pack("<HB", response.status, len(cipher.key_id)) + cipher.key_id.encode()
    return head + cipher.encrypt(_pack(response), _place(service, position))


def _unpack_encrypted(
    cipher: Cipher, service: str, position: int, payload: bytes
) -> tuple[GuestResponse, str]:
    """Return the response and the name of its key."""
    status, length = struct.unpack_from("<HB", payload)
    key_id = payload[3 : 3 + length].decode()
    try:
        packed = cipher.decrypt(key_id, payload[3 + length :], _place(service, position))
    except DecryptionError as exc:
        # The guest has responded, that is known: the write is not sent again.
        why = f"responded; the rest of the response is lost: {exc}"
        return GuestResponse(status, (("cachemig-write", why),)), key_id
    return _unpack(packed), key_id


def _unpack(payload: bytes) -> GuestResponse:
    head, _, data = payload.partition(b"\n")
    status, headers, length = json.loads(head)
    pairs = tuple((str(name), str(value)) for name, value in headers)
    if len(data) != length:
        pairs += (("cachemig-write", "responded; the body of the response was lost in a crash"),)
    return GuestResponse(status, pairs, Body.of(data))


@dataclasses.dataclass(frozen=True, slots=True)
class _Head:
    """The first line of the log."""

    generation: int
    synced: bool
    incarnation: str

    def to_bytes(self) -> bytes:
        """Return the line. Whether it is synced has a fixed place."""
        state = _CLEAN if self.synced else _OPEN
        return b"%b%b %d %b\n" % (_MAGIC, state, self.generation, self.incarnation.encode())

    @classmethod
    def parse(cls, line: bytes) -> _Head | None:
        """Return the head of a line; None if it has none."""
        if line.startswith(_FORMER_MAGIC):
            boot = line.removeprefix(_FORMER_MAGIC).decode("ascii", "replace")
            return cls(0, synced=False, incarnation=boot)
        if not line.startswith(_MAGIC):
            return None
        state = line[len(_MAGIC) : len(_MAGIC) + len(_OPEN)]
        generation, _, incarnation = line[len(_MAGIC) + len(_OPEN) + 1 :].partition(b" ")
        if state not in {_OPEN, _CLEAN} or not generation.isdigit():
            return None
        return cls(int(generation), state == _CLEAN, incarnation.decode("ascii", "replace"))

    def is_of(self, incarnation: str) -> bool:
        """Whether boot and mount are the same; a former log knows the boot only."""
        known = self.incarnation
        return incarnation == known or (" " not in known and incarnation.startswith(f"{known} "))


class ProgressLog:
    """The log of the agent that owns the directory. Open it once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._size = 0  # bytes used
        self._entries: dict[tuple[str, int], bytes] = {}  # still needed, by service and position
        self._ended: dict[str, int] = {}  # service → an entry that is needed until the next send
        self._cipher = CLEAR
        self._generation = 0
        self._allocated: mmap.mmap | None = None  # the next file, if there is one

    def generation(self) -> int | None:
        """Return the generation of the agent that wrote the log; None if there is none."""
        try:
            with self._path.open("rb") as file:
                head = _Head.parse(file.readline(1024).rstrip(b"\n"))
        except FileNotFoundError:
            return None
        return None if head is None else head.generation

    def open(self, cipher: Cipher = CLEAR, generation: int = 0) -> Progress:
        """Return the log's content. Call :meth:`reset` before the first new entry.

        ``generation``: of the database's last owner, who wrote the log if it is the newest one.
        New responses are encrypted if ``cipher`` has a key for new content.
        """
        self._cipher = cipher
        return self._read(generation)

    def allocate(self) -> None:
        """Take the disk space that :meth:`reset` needs, so that it cannot fail. Raises OSError."""
        fresh = self._path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
            self._allocated = mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)

    def reset(
        self,
        generation: int = 0,
        sent: Sequence[tuple[str, int]] = (),
        ended: Sequence[tuple[str, int]] = (),
    ) -> None:
        """Drop all entries, which are recorded in the database by now. Raises OSError.

        ``generation``: of this agent. ``sent``: the writes, as service and position, that recovery
        has found sent and that will be sent again. ``ended``: one of each service
        that will not. The guest may still process both, and the next agent must know this if this
        one dies soon. The first write that is sent to the guest shows that it has had the time.
        """
        self._generation = generation
        self._ended = dict(ended)
        self._entries = {
            (name, place): _entry(_SENT, name, place) for name, place in (*sent, *ended)
        }
        self._rewrite()

    def close(self, *, sync: bool = False) -> None:
        """Close the file. It stays for the next start. ``sync``: complete even after a reboot."""
        if self._map is not None:
            if sync:
                self._sync(self._map)
            self._map.close()
            self._map = None
        if self._allocated is not None:
            self._allocated.close()
            self._allocated = None

    def _sync(self, log: mmap.mmap) -> None:
        try:
            log.flush()
            sync_directory(self._path.parent)
            log[len(_MAGIC) : len(_MAGIC) + len(_CLEAN)] = _CLEAN
            log.flush()
        except OSError as exc:
            LOG.warning("The progress log is not synced; a reboot now would lose it: %s", exc)

    def log_sent(self, service: str, position: int) -> None:
        """Call before the first byte is sent. Raises OSError: then nothing must be sent."""
        if self._ended and service in self._ended:
            self.forget(service, self._ended.pop(service))
        self._append((service, position), _entry(_SENT, service, position))

    def log_response(self, service: str, position: int, response: GuestResponse) -> None:
        """Call when the response has arrived. Raises OSError: a crash now would lose it."""
        if self._cipher.key_id is None:
            entry = _entry(_RESPONSE, service, position, _pack(response))
        else:
            payload = _pack_encrypted(self._cipher, service, position, response)
            entry = _entry(_ENCRYPTED_RESPONSE, service, position, payload)
        self._append((service, position), entry)

    def forget(self, service: str, position: int) -> None:
        """Let the next rewrite drop a write's entry: the database has its outcome."""
        self._entries.pop((service, position), None)

    def _append(self, name: tuple[str, int], entry: bytes) -> None:
        assert self._map is not None, "the progress log is not open"
        if self._size + len(entry) > _SIZE:
            self._rewrite()
        end = self._size + len(entry)
        if end > _SIZE:
            raise OSError(errno.ENOSPC, "too many writes in flight for the progress log")
        self._map[self._size : end] = entry
        self._size = end
        self._entries[name] = entry

    def _rewrite(self) -> None:
        """Switch to a new file with the needed entries. Raises OSError; then the old one stays."""
        here = incarnation.of(self._path.parent, _BOOT_ID)
        head = _Head(self._generation, synced=False, incarnation=here)
        content = b"".join([head.to_bytes(), *self._entries.values()])
        if self._allocated is None:
            self.allocate()
        mapped, self._allocated = self._allocated, None
        assert mapped is not None
        mapped[: len(content)] = content
        self._path.with_suffix(".new").rename(self._path)
        if self._map is not None:
            self._map.close()
        self._map, self._size = mapped, len(content)

    def _read(self, generation: int) -> Progress:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            # Never used, or lost. This is harmless only if the database has no unsent writes.
            return Progress(complete=False)
        line, newline, rest = data.partition(b"\n")
        head = _Head.parse(line) if newline else None
        if head is None:
            return Progress(complete=False)
        here = incarnation.of(self._path.parent, _BOOT_ID)
        complete = head.generation == generation and (head.synced or head.is_of(here))
        sent: set[tuple[str, int]] = set()
        responses: dict[tuple[str, int], GuestResponse] = {}
        key_ids: dict[tuple[str, int], str] = {}
        for kind, name, position, payload in _entries_of(rest):
            sent.add((name, position))
            if kind == _RESPONSE:
                responses[name, position] = _unpack(payload)
            elif kind == _ENCRYPTED_RESPONSE:
                response, key_id = _unpack_encrypted(self._cipher, name, position, payload)
                responses[name, position] = response
                key_ids[name, position] = key_id
        return Progress(complete, frozenset(sent), responses, key_ids)


def _entries_of(data: bytes) -> Iterator[tuple[int, str, int, bytes]]:
    """Yield kind, service, position and payload of each entry, up to the first wrong one."""
    at = 0
    while at + 8 <= len(data):
        length, crc = struct.unpack_from("<II", data, at)
        tail = data[at + 8 : at + 8 + length]
        if len(tail) != length or zlib.crc32(tail) != crc or length < 11:
            return
        kind, name_length, position = struct.unpack_from("<BHQ", tail)
        yield kind, tail[11 : 11 + name_length].decode(), position, tail[11 + name_length :]
        at += 8 + length
