"""HAProxy's maps: their entries in the agent's memory, on disk and in HAProxy.

The agent's memory is authoritative. The files are written from it before HAProxy starts or reloads.
While HAProxy runs, the writer of the maps edits them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from nova_cachemig.agent.engine import files, ledger
from nova_cachemig.agent.engine.ledger import MapLedger, Priority
from nova_cachemig.agent.engine.render import map_text
from nova_cachemig.agent.engine.writer import MapWriter


class EdgeMap:
    """One map of HAProxy. ``shared``: HAProxy changes entries itself."""

    def __init__(self, path: Path, writer: MapWriter, *, shared: bool = False) -> None:
        self._path = path
        self._writer = writer
        self._ledger = MapLedger(str(path), shared=shared)
        self._saved: Mapping[str, str] = {}

    @property
    def entries(self) -> Mapping[str, str]:
        """The wanted entries."""
        return self._ledger.wanted

    @property
    def absent(self) -> bool:
        """Whether a running HAProxy of an earlier version does not know the map."""
        return self._ledger.absent

    def save(self) -> None:
        """Write the wanted entries to the map's file, atomically."""
        self._saved = dict(self.entries)
        files.write(self._path, map_text(self._saved))

    def forget(self) -> None:
        """HAProxy may have been restarted: read its entries before the next edit."""
        self._ledger.forget()

    def start_with(self, entries: Mapping[str, str]) -> None:
        """Want these entries of a HAProxy that does not run yet, or that is reloaded next.

        If the reload fails, :meth:`replace` edits what differs.
        """
        ledger.check(entries)
        self._ledger.wanted = dict(entries)

    def was_read(self) -> None:
        """HAProxy has read the file that was saved last."""
        self._ledger.assume(self._saved)

    async def load(self) -> None:
        """Want the entries that HAProxy has, after a restart of the agent. Raises AdminError."""
        await self._writer.read(self._ledger)

    async def look(self, key: str) -> str | None:
        """Return HAProxy's own entry, which it may have changed itself. Raises AdminError."""
        await self._writer.look(self._ledger, key)
        return self._ledger.present(key)

    def want(
        self,
        edits: Mapping[str, str | None],
        priority: Priority = Priority.MARK,
        group: str = "",
    ) -> asyncio.Future[None]:
        """Set (a value) or remove (None) any number of entries. ``group``: whose edits these are.

        They apply to the next request when the future is done. It has an AdminError if HAProxy does
        not take them in time; they stay wanted. Of one priority and group, the edits
        that were wanted first come first.
        """
        ledger.check(edits)
        wanted = self._ledger.wanted
        for key, value in edits.items():
            if value is None:
                wanted.pop(key, None)
            else:
                wanted[key] = value  # before the command: a HAProxy that restarts reads the file
        return self._writer.want(self._ledger, edits, priority, group)

    async def update(
        self,
        edits: Mapping[str, str | None],
        priority: Priority = Priority.MARK,
        group: str = "",
    ) -> None:
        """Return when the edits are in force: see :meth:`want`."""
        await self.want(edits, priority, group)

    async def set(self, key: str, value: str, priority: Priority = Priority.MARK) -> None:
        """Set one entry, for the next request when this returns."""
        await self.update({key: value}, priority, key)

    async def remove(self, *keys: str, priority: Priority = Priority.MARK) -> None:
        """Remove entries; unknown keys are ignored."""
        await self.update(dict.fromkeys(keys), priority, keys[0] if keys else "")

    async def clear(self) -> None:
        """Remove all entries, also those that HAProxy added without the agent."""
        await self._writer.clear(self._ledger)

    async def replace(self, wanted: Mapping[str, str]) -> None:
        """Make ``wanted`` the entries: write the file, and edit in HAProxy only the differences.

        A HAProxy without the map reads it after its next reload.
        """
        ledger.check(wanted)
        before, self._ledger.wanted = self._ledger.wanted, dict(wanted)
        self.save()
        if not self.absent:
            keys = self._ledger.differing(before)
            await self._writer.want(self._ledger, keys, Priority.ROUTE)

    def edits(self, wanted: Mapping[str, str]) -> int:
        """Return how many entries :meth:`replace` would edit, at most."""
        present = self.entries
        changed = sum(present.get(key) != value for key, value in wanted.items())
        return changed + sum(key not in wanted for key in present)
