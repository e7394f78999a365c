"""The maps by which a write affects reads: stale pages get a new epoch, other reads wait.

Each stored page is found by the generation of its handover and the epoch of the page. A write gives
the pages that it made stale new epochs, so that Varnish no longer finds what it had stored. While
the journal holds a write, the reads of its keys wait (the map ``pending``).
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Collection, Mapping, Sequence

from oslo_log import log

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.engine.ledger import Priority
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.model.effects import EndedWrite, held_reads

LOG = log.getLogger(__name__)

MAX_EXACT = 2000
"""Entries of one service in the map of pending keys. HAProxy removes one by a linear search, in the
thread that serves all clients. Further keys share :data:`names.BUCKETS` entries, which hold also
reads of other keys."""


class PendingKeys:
    """The entries of one service in the map of pending keys. No I/O."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._entries: dict[str, str] = {}  # pending key -> its entry
        self._users: collections.Counter[str] = collections.Counter()  # keys by entry

    def __bool__(self) -> bool:
        return bool(self._entries)

    def mark(self, key: str, *, on: bool) -> str:
        """Set or remove a key; return the entry that may have changed."""
        if on and key not in self._entries:
            exact = len(self._users) < MAX_EXACT
            name = names.pending_key if exact else names.pending_bucket
            entry = name(self._service, key)
            self._entries[key] = entry
            self._users[entry] += 1
            return entry
        if not on and key in self._entries:
            entry = self._entries.pop(key)
            self._users[entry] -= 1
            if not self._users[entry]:
                del self._users[entry]
            return entry
        return self._entries.get(key) or names.pending_key(self._service, key)

    def has(self, entry: str) -> bool:
        """Whether a key uses this entry."""
        return entry in self._users

    def has_key(self, entry: str) -> bool:
        """Whether reads of the key whose own entry this is are held."""
        bucket = f"{names.encode_service(self._service)}|{entry[:2]}"
        return entry in self._users or bucket in self._users

    def entries(self) -> set[str]:
        """Return all entries, with the one by which no write overtakes the journal."""
        return {*self._users, names.journal_key(self._service)} if self._users else set()


class BarrierMaps:
    """The maps ``epochs`` and ``pending`` of all services in a handover."""

    def __init__(self, states: EdgeMap, pending: EdgeMap, epochs: EdgeMap) -> None:
        self._states = states
        self._pending = pending
        self._epochs = epochs
        self._keys: dict[str, PendingKeys] = {}  # by service
        self._epoch_keys: dict[str, set[str]] = {}  # by service, without those of HAProxy

    async def update(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Apply any number of changes: see :class:`ports.BarrierEngine`."""
        await self._renew_epochs(service, stale)
        keys = self._keys.setdefault(service, PendingKeys(service))
        touched = {keys.mark(key, on=on) for key, on in pending.items()}
        edits: dict[str, str | None] = {e: "1" if keys.has(e) else None for e in touched}
        # While this key is set, the edge lets no write overtake the journal.
        edits[names.journal_key(service)] = "1" if keys else None
        if not keys:
            del self._keys[service]
        await self._pending.want(edits, group=service)

    def holds(self, service: str, entry: str | None = None) -> bool:
        """Whether writes of the service wait in the journal; with ``entry``: to this page."""
        keys = self._keys.get(service)
        return keys is not None and (entry is None or keys.has_key(entry))

    async def replace(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Make ``pending`` the only held reads: see :class:`ports.BarrierEngine`."""
        for write in ended:
            await self._renew_epochs(write.service, {write.host: write.urls})
        self._keys = {}
        for service, keys in pending.items():
            self._keys[service] = PendingKeys(service)
            for key in keys:
                self._keys[service].mark(key, on=True)
        wanted = {entry for keys in self._keys.values() for entry in keys.entries()}
        explained = {entry for write in ended for entry in self._entries(write)}
        if not self._pending.entries.keys() <= wanted | explained:
            # The earlier agent died between two steps of a write, and its pages are not known.
            LOG.info("the edge held reads of unknown writes: clearing the cache")
            await self._renew_generations()
        await self._pending.replace(dict.fromkeys(wanted, "1"))

    async def _renew_epochs(self, service: str, stale: Mapping[str, Sequence[str]]) -> None:
        pages = {self._epoch_key(service, url) for urls in stale.values() for url in urls}
        await self._epochs.want({page: names.new_token() for page in pages}, group=service)

    def _epoch_key(self, service: str, url: str) -> str:
        keys, key = (
            self._epoch_keys.setdefault(service, set()),
            names.pending_key(service, f"url:{url}"),
        )
        if key not in keys and len(keys) >= names.MAX_EPOCHS:
            key = names.pending_bucket(service, f"url:{url}")
        keys.add(key)
        return key

    async def _renew_generations(self) -> None:
        """Invalidate all stored pages of all services, which makes the epochs superfluous."""
        await self._states.update(
            {encoded: names.renewed(entry) for encoded, entry in self._states.entries.items()},
            Priority.FLIP,
        )
        self._epoch_keys.clear()
        await self._epochs.clear()

    async def end(self, service: str) -> None:
        """Remove the service's entries. The last handover's end clears both maps."""
        keys = self._keys.pop(service, PendingKeys(service))
        pages = self._epoch_keys.pop(service, set())
        if self._states.entries:
            marks = dict.fromkeys([*keys.entries(), names.journal_key(service)])
            await asyncio.gather(
                self._pending.want(marks, group=service),
                self._epochs.want(dict.fromkeys(pages), group=service),
            )
        else:
            self._keys.clear()
            self._epoch_keys.clear()
            await asyncio.gather(self._pending.clear(), self._epochs.clear())

    def _entries(self, write: EndedWrite) -> set[str]:
        keys = PendingKeys(write.service)
        for key in held_reads(write.urls[0], write.client):
            keys.mark(key, on=True)
        return keys.entries()
