"""Large bodies in files of their own, synced with their directory before they count."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from nova_cachemig.agent.journal import frames
from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, Undecipherable
from nova_cachemig.model.write import Body

_CHUNK = 256 * 1024
_ENCRYPTED = ".enc"  # ends the names of encrypted files; records are bound to the name


class SpoolFile:
    """A body that is being written. Blocking: call it from a thread."""

    def __init__(self, directory: Path, cipher: Cipher = CLEAR) -> None:
        self.name = uuid.uuid4().hex + (_ENCRYPTED if cipher.key_id is not None else "")
        self._encryptor: frames.Encryptor | None = None
        self._path = directory / self.name
        self._file: BinaryIO = self._path.open("xb", buffering=0)
        self._digest = hashlib.blake2b(digest_size=16)
        self._length = 0
        if cipher.key_id is not None:
            self._encryptor = frames.Encryptor(cipher, self.name)

    def write(self, data: bytes) -> None:
        """Append. Raises OSError (a full disk)."""
        for part in [data] if self._encryptor is None else self._encryptor.add(data):
            self._put(part)
        self._digest.update(data)
        self._length += len(data)

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def seal(self) -> Body:
        """Sync the file and its directory; the body is safe when this returns."""
        if self._encryptor is not None:
            self._put(self._encryptor.end())
        os.fsync(self._file.fileno())
        self._file.close()
        sync_directory(self._path.parent)
        return Body(spool=self.name, length=self._length, digest=self._digest.digest())

    def abandon(self) -> None:
        """Take the file away: nothing of it was accepted."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class Spool:
    """The directory of spool files."""

    def __init__(self, directory: Path, cipher: Cipher = CLEAR) -> None:
        self.directory = directory
        self.cipher = cipher

    def prepare(self) -> None:
        """Make the directory, readable by the agent alone."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def create(self) -> SpoolFile:
        """Begin a body."""
        return SpoolFile(self.directory, self.cipher)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content by chunks. Blocking. Raises OSError, Undecipherable."""
        with (self.directory / name).open("rb") as file:
            if name.endswith(_ENCRYPTED):
                yield from frames.decrypted(self.cipher, name, file)
                return
            while chunk := file.read(_CHUNK):
                yield chunk

    def intact(self, body: Body) -> bool:
        """Whether the file is there, whole, and what was written. Blocking."""
        digest = hashlib.blake2b(digest_size=16)
        try:
            for chunk in self.read(body.spool or ""):
                digest.update(chunk)
        except (OSError, Undecipherable):
            return False
        return digest.digest() == body.digest

    def encrypted_with(self, key_id: str, names: Iterable[str]) -> int:
        """How many of these files are encrypted with this key. Blocking."""
        found = 0
        for name in names:
            if name.endswith(_ENCRYPTED):
                try:
                    with (self.directory / name).open("rb") as file:
                        found += frames.key_of(file) == key_id
                except (OSError, Undecipherable):
                    continue  # damaged: recovery names it
        return found

    def remove(self, name: str) -> None:
        """Take a file away that nobody needs any more."""
        (self.directory / name).unlink(missing_ok=True)

    def sweep(self, wanted: set[str]) -> int:
        """Take away what no record names (uploads that a crash cut). Returns how many."""
        strays = [path for path in self.directory.iterdir() if path.name not in wanted]
        for path in strays:
            path.unlink(missing_ok=True)
        return len(strays)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
