"""Large bodies in separate files. File and directory are synced before the body counts."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from nova_cachemig.agent.journal import frames
from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, DecryptionError
from nova_cachemig.model.write import Body

CHUNK = frames.FRAME
"""Bytes, at most, that :meth:`Spool.read` yields at a time."""
_ENCRYPTED = ".enc"  # suffix of encrypted files; a record is bound to the name


class SpoolFile:
    """A body that is being written. All methods block: call them in a thread.

    The file is open during a call only: thousands of clients may pause in their uploads.
    """

    def __init__(self, directory: Path, cipher: Cipher = CLEAR) -> None:
        self.name = uuid.uuid4().hex + (_ENCRYPTED if cipher.key_id is not None else "")
        self._encryptor: frames.Encryptor | None = None
        self._path = directory / self.name
        self._path.open("xb").close()
        self._digest = hashlib.blake2b(digest_size=16)
        self._length = 0
        self._cipher = cipher
        self._torn = False  # a part is not on disk
        if cipher.key_id is not None:
            self._encryptor = frames.Encryptor(cipher, self.name)

    def write(self, data: bytes) -> None:
        """Append. Raises OSError, e.g. if the disk is full."""
        self._torn = True
        with self._path.open("ab", buffering=0) as file:
            for part in [data] if self._encryptor is None else self._encryptor.add(data):
                _write_all(file, part)
        self._digest.update(data)
        self._length += len(data)
        self._torn = False

    def seal(self) -> Body:
        """Sync the file and its directory. The body is durable when this returns."""
        with self._path.open("ab", buffering=0) as file:
            if self._encryptor is not None:
                _write_all(file, self._encryptor.end())
            os.fsync(file.fileno())
        sync_directory(self._path.parent)
        return Body(spool=self.name, length=self._length, digest=self._digest.digest())

    def take(self) -> Iterator[bytes]:
        """Return what was written, and delete the file. Raises OSError. The iterator blocks."""
        try:
            if self._encryptor is not None:
                if self._torn:
                    raise OSError(errno.EIO, "an encrypted file is not complete", str(self._path))
                with self._path.open("ab", buffering=0) as end:
                    _write_all(end, self._encryptor.end())
            file = self._path.open("rb")
        finally:
            self.delete()
        return self._read(file)

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        with file:
            if self._encryptor is not None:
                yield from frames.decrypted(self._cipher, self.name, file, 0)
                return
            left = self._length
            while left and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def delete(self) -> None:
        """Delete the file: the write was not accepted."""
        self._path.unlink(missing_ok=True)


class Spool:
    """The directory of spool files."""

    def __init__(self, directory: Path, cipher: Cipher = CLEAR) -> None:
        self.directory = directory
        self.cipher = cipher

    def prepare(self) -> None:
        """Make the directory. Only the agent's user can read it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self) -> SpoolFile:
        """Begin a body. Blocking."""
        return SpoolFile(self.directory, self.cipher)

    def read(self, name: str, first: int = 0) -> Iterator[bytes]:
        """Yield the content in chunks of :data:`CHUNK` bytes, from number ``first`` on.

        Blocking. Raises OSError or DecryptionError.
        """
        yield from self._chunks((self.directory / name).open("rb"), name, first)

    def open(self, name: str) -> Iterator[bytes]:
        """Open the file now and return its chunks, although it may be deleted meanwhile.

        Raises OSError; the iterator may raise OSError or DecryptionError.
        """
        return self._chunks((self.directory / name).open("rb"), name, 0)

    def _chunks(self, file: BinaryIO, name: str, first: int) -> Iterator[bytes]:
        with file:
            if name.endswith(_ENCRYPTED):
                yield from frames.decrypted(self.cipher, name, file, first)
                return
            file.seek(first * CHUNK)
            while chunk := file.read(CHUNK):
                yield chunk

    def intact(self, body: Body) -> bool:
        """Whether the file exists and has the content that was written. Blocking."""
        digest = hashlib.blake2b(digest_size=16)
        try:
            for chunk in self.read(body.spool or ""):
                digest.update(chunk)
        except (OSError, DecryptionError):
            return False
        return digest.digest() == body.digest

    def encrypted_with(self, key_id: str, names: Iterable[str]) -> int:
        """Return how many of these files are encrypted with this key. Blocking."""
        found = 0
        for name in names:
            if name.endswith(_ENCRYPTED):
                try:
                    with (self.directory / name).open("rb") as file:
                        found += frames.read_key_id(file) == key_id
                except (OSError, DecryptionError):
                    continue  # damaged: recovery reports it
        return found

    def remove(self, name: str) -> None:
        """Delete a file that is no longer needed."""
        (self.directory / name).unlink(missing_ok=True)

    def remove_orphans(self, needed: set[str]) -> int:
        """Delete the files that no record names (uploads cut by a crash). Return their number."""
        orphans = [path for path in self.directory.iterdir() if path.name not in needed]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def sync_directory(directory: Path) -> None:
    """Make the entries of a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
