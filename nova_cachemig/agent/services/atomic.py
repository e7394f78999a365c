"""Files that are replaced atomically and durably."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from nova_cachemig.agent.ports import ComponentError


class ServicesError(ComponentError):
    """The files are not valid; ``errors`` has one sentence for each mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors[:5]) + ("; …" if len(errors) > 5 else ""))
        self.errors = errors


def write_text(path: Path, text: str, *, mode: int = 0o640) -> None:
    """Replace the file; raises ServicesError."""
    write_lines(path, [text], mode=mode)


def write_lines(path: Path, lines: Iterable[str], *, mode: int = 0o640) -> None:
    """Replace the file; raises ServicesError."""
    try:
        if not path.parent.exists():
            path.parent.mkdir()
            path.parent.chmod(0o755)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
        ) as file:
            draft = Path(file.name)
            try:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
                draft.chmod(mode)
                draft.rename(path)
            except OSError:
                draft.unlink(missing_ok=True)
                raise
        sync(path.parent)
    except OSError as exc:
        raise ServicesError([f"{path} cannot be written: {exc.strerror}"]) from exc


def sync(directory: Path) -> None:
    """Make the directory's entries durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
