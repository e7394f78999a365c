"""Notes each position that the journal gives, in a file that outlives the process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.write import AcceptedWrite


def observe(journal: Journal, notes: Path) -> None:
    """Note each write that is appended, and each that the journal calls durable."""
    fd = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    append = journal.append

    def note(what: str, write: AcceptedWrite) -> None:
        name = dict(write.headers)["x-write"]
        os.write(fd, f"{what} {write.position} {name}\n".encode())

    def observed(
        write: AcceptedWrite, limit: Any, key: Any, done: Any, *more: Any, **named: Any
    ) -> None:
        note("append", write)

        def on_done(error: BaseException | None) -> None:
            if error is None:
                note("durable", write)
            done(error)

        append(write, limit, key, on_done, *more, **named)

    journal.append = observed  # type: ignore[method-assign]


class Notes:
    """The notes of all processes of a run."""

    def __init__(self, path: Path) -> None:
        """Read the file, which need not exist."""
        self.positions: dict[str, int] = {}  # by id: a position that was lost is used again
        self.durable: set[str] = set()
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            what, position, name = line.split(" ")
            if what == "append":
                self.positions[name] = int(position)
            else:
                self.durable.add(name)
