"""HAProxy's maps: their entries in the agent's memory, on disk and in HAProxy.

The agent's memory is authoritative. The files are written from it before HAProxy starts or reloads.
While HAProxy runs, the maps are edited over the admin socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nova_cachemig.agent.engine import files
from nova_cachemig.agent.engine.admin import Admin, command
from nova_cachemig.agent.engine.render import map_text


class EdgeMap:
    """One map of HAProxy."""

    def __init__(self, path: Path, admin: Admin) -> None:
        self._path = path
        self._admin = admin
        self.entries: dict[str, str] = {}
        self._out_of_sync = False
        self.absent = False  # a running HAProxy of an earlier version does not know the map

    def save(self) -> None:
        """Write the entries to the map's file, atomically."""
        files.write(self._path, map_text(self.entries))

    async def load(self) -> None:
        """Replace the entries in memory with those of HAProxy, after a restart of the agent."""
        output = await self._admin.run(command("show", "map", str(self._path)))
        self.absent = output.startswith("Unknown map")
        rows = (line.split(" ") for line in output.splitlines())
        self.entries = {row[1]: row[2] for row in rows if len(row) == 3}

    def _edit(self, key: str, value: str | None) -> str | None:
        """Change the memory; return the command for HAProxy, None if nothing changes."""
        before = self.entries.get(key)
        if before == value:
            return None
        path = str(self._path)
        if value is None:
            del self.entries[key]
            return command("del", "map", path, key)
        self.entries[key] = value  # before the command: a HAProxy that restarts reads the file
        return command("set" if before is not None else "add", "map", path, key, value)

    async def update(self, edits: Mapping[str, str | None]) -> None:
        """Set (a value) or remove (None) any number of entries in few exchanges.

        The edits apply to the next request when this returns. After an error HAProxy's entries are
        unknown, so the next update first reads and corrects them.
        """
        if self._out_of_sync:
            wanted = dict(self.entries)
            await self.load()
            await self.replace(wanted)
            self._out_of_sync = False
        commands = [self._edit(key, value) for key, value in edits.items()]
        try:
            await self._admin.apply([one for one in commands if one is not None])
        except BaseException:
            self._out_of_sync = True
            raise

    async def set(self, key: str, value: str) -> None:
        """Set one entry, for the next request when this returns."""
        await self.update({key: value})

    async def upsert(self, entries: Mapping[str, str]) -> None:
        """Set entries that HAProxy may have added without the agent."""
        path = str(self._path)
        self.entries.update(entries)
        pairs = list(entries.items())
        outputs = await self._admin.exchange_all(
            [command("set", "map", path, key, value) for key, value in pairs]
        )
        await self._admin.apply(
            [
                command("add", "map", path, key, value)
                for (key, value), refusal in zip(pairs, outputs, strict=True)
                if refusal
            ]
        )

    async def remove(self, *keys: str) -> None:
        """Remove entries; unknown keys are ignored."""
        await self.update(dict.fromkeys(keys))

    async def clear(self) -> None:
        """Remove all entries, also those that HAProxy added without the agent."""
        self.entries.clear()
        await self._admin.apply([command("clear", "map", str(self._path))])

    async def replace(self, wanted: Mapping[str, str]) -> None:
        """Make ``wanted`` the entries: write the file, and edit in HAProxy only the differences.

        A HAProxy without the map reads it after its next reload.
        """
        path = str(self._path)
        before, self.entries = self.entries, dict(wanted)
        self.save()
        if self.absent:
            return
        edits = [command("del", "map", path, key) for key in before if key not in wanted]
        for key, value in wanted.items():
            if key not in before:
                edits.append(command("add", "map", path, key, value))
            elif before[key] != value:
                edits.append(command("set", "map", path, key, value))
        await self._admin.apply(edits)
