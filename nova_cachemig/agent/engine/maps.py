"""HAProxy's maps: what they should hold, and the edits that make them so.

The agent's memory leads. The files are written from it before HAProxy starts or reloads; while
HAProxy runs, it is edited over the admin socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nova_cachemig.agent.engine import files
from nova_cachemig.agent.engine.admin import Admin, command
from nova_cachemig.agent.engine.render import map_text

NOT_FOUND = "not found"


class EdgeMap:
    """One map."""

    def __init__(self, path: Path, admin: Admin) -> None:
        self._path = path
        self._admin = admin
        self.entries: dict[str, str] = {}

    def write(self) -> None:
        """Put the entries on disk, at once or not at all."""
        files.put(self._path, map_text(self.entries))

    async def read(self) -> None:
        """Take over what HAProxy holds: after a restart of the agent."""
        said = await self._admin.run(command("show", "map", str(self._path)))
        rows = (line.split(" ") for line in said.splitlines())
        self.entries = {row[1]: row[2] for row in rows if len(row) == 3}

    async def put(self, key: str, value: str) -> None:
        """Set one entry. In force for the next request when this returns."""
        if self.entries.get(key) == value:
            return
        known = key in self.entries
        self.entries[key] = value  # first: a HAProxy that restarts now gets it from the file
        if known:
            await self._admin.run_all([command("set", "map", str(self._path), key, value)])
        else:
            await self._admin.run_all([command("add", "map", str(self._path), key, value)])

    async def put_unseen(self, key: str, value: str) -> None:
        """Set one entry that HAProxy may have made itself."""
        known = key in self.entries
        self.entries[key] = value
        said = await self._admin.run(command("set", "map", str(self._path), key, value))
        if said and not known:
            await self._admin.run_all([command("add", "map", str(self._path), key, value)])

    async def drop(self, *keys: str) -> None:
        """Remove entries; those that are not there are no error."""
        there = [key for key in keys if self.entries.pop(key, None) is not None]
        await self._admin.run_all([command("del", "map", str(self._path), key) for key in there])

    async def clear(self) -> None:
        """Remove all entries, also those that HAProxy made itself."""
        self.entries.clear()
        await self._admin.run_all([command("clear", "map", str(self._path))])

    async def become(self, wanted: Mapping[str, str]) -> None:
        """Add, change and remove just what differs, and put it on disk."""
        path = str(self._path)
        now, self.entries = self.entries, dict(wanted)
        self.write()
        edits = [command("del", "map", path, key) for key in now if key not in wanted]
        for key, value in wanted.items():
            if key not in now:
                edits.append(command("add", "map", path, key, value))
            elif now[key] != value:
                edits.append(command("set", "map", path, key, value))
        await self._admin.run_all(edits)
