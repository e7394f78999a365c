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
        self._unsure = False

    def write(self) -> None:
        """Put the entries on disk, at once or not at all."""
        files.put(self._path, map_text(self.entries))

    async def read(self) -> None:
        """Take over what HAProxy holds: after a restart of the agent."""
        said = await self._admin.run(command("show", "map", str(self._path)))
        rows = (line.split(" ") for line in said.splitlines())
        self.entries = {row[1]: row[2] for row in rows if len(row) == 3}

    def _edit(self, key: str, value: str | None) -> str | None:
        """Change the memory; the command that makes HAProxy follow, None if nothing changes."""
        before = self.entries.get(key)
        if before == value:
            return None
        path = str(self._path)
        if value is None:
            del self.entries[key]
            return command("del", "map", path, key)
        self.entries[key] = value  # first: a HAProxy that restarts now gets it from the file
        return command("set" if before is not None else "add", "map", path, key, value)

    async def change(self, edits: Mapping[str, str | None]) -> None:
        """Set (a value) or remove (None) any number of entries with few exchanges.

        In force for the next request when this returns. After an error HAProxy's entries are not
        known: the next change finds out first.
        """
        if self._unsure:
            wanted = dict(self.entries)
            await self.read()
            await self.become(wanted)
            self._unsure = False
        made = [self._edit(key, value) for key, value in edits.items()]
        try:
            await self._admin.run_all([one for one in made if one is not None])
        except BaseException:
            self._unsure = True
            raise

    async def put(self, key: str, value: str) -> None:
        """Set one entry. In force for the next request when this returns."""
        await self.change({key: value})

    async def put_unseen(self, entries: Mapping[str, str]) -> None:
        """Set entries that HAProxy may have made itself."""
        path = str(self._path)
        self.entries.update(entries)
        pairs = list(entries.items())
        said = await self._admin.ask_all(
            [command("set", "map", path, key, value) for key, value in pairs]
        )
        await self._admin.run_all(
            [
                command("add", "map", path, key, value)
                for (key, value), refused in zip(pairs, said, strict=True)
                if refused
            ]
        )

    async def drop(self, *keys: str) -> None:
        """Remove entries; those that are not there are no error."""
        await self.change(dict.fromkeys(keys))

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
