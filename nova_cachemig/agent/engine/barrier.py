"""The maps by which a write affects reads: stale pages get a new epoch, other reads wait.

Each stored page is found by the generation of its handover and the epoch of the page. A write gives
the pages that it made stale new epochs, so that Varnish no longer finds what it had stored. While
the journal holds a write, the reads of its keys wait (the map ``pending``).
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from oslo_log import log

from nova_cachemig.agent.engine import names
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
        self._lock = asyncio.Lock()
        self._keys: dict[str, PendingKeys] = {}  # by service
        self._written: collections.Counter[str] = collections.Counter()  # epochs by service
        self._own_epochs: set[str] = set()  # the keys of paths with a separate epoch

    async def update(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Apply any number of changes in few exchanges: see :class:`ports.Engine`."""
        async with self._lock:
            await self._renew_epochs(service, stale)
            keys = self._keys.setdefault(service, PendingKeys(service))
            touched = {keys.mark(key, on=on) for key, on in pending.items()}
            edits: dict[str, str | None] = {e: "1" if keys.has(e) else None for e in touched}
            # While this key is set, the edge lets no write overtake the journal.
            edits[names.journal_key(service)] = "1" if keys else None
            if not keys:
                del self._keys[service]
            await self._pending.update(edits)

    def holds(self, service: str, entry: str | None = None) -> bool:
        """Whether writes of the service wait in the journal; with ``entry``: to this page."""
        keys = self._keys.get(service)
        return keys is not None and (entry is None or keys.has_key(entry))

    async def replace(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Make ``pending`` the only held reads: see :class:`ports.BarrierEngine`."""
        async with self._lock:
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

    @contextlib.asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Make no change meanwhile."""
        async with self._lock:
            yield

    async def _renew_epochs(self, service: str, stale: Mapping[str, Sequence[str]]) -> None:
        pages = {self._epoch_key(service, url) for urls in stale.values() for url in urls}
        if pages:
            await self._epochs.upsert({page: names.new_token() for page in pages})

    def _epoch_key(self, service: str, url: str) -> str:
        key = names.pending_key(service, f"url:{url}")
        if key in self._own_epochs:
            return key
        if self._written[service] >= names.MAX_EPOCHS:
            return names.pending_bucket(service, f"url:{url}")
        self._written[service] += 1
        self._own_epochs.add(key)
        return key

    async def _clear_epochs(self) -> None:
        self._written.clear()
        self._own_epochs.clear()
        await self._epochs.clear()

    async def _renew_generations(self) -> None:
        """Invalidate all stored pages of all services, which makes the epochs superfluous."""
        for encoded, entry in list(self._states.entries.items()):
            mode = entry.partition(":")[0]
            await self._states.set(encoded, f"{mode}:{names.new_token()}")
        await self._clear_epochs()

    async def end(self, service: str) -> None:
        """Remove the service's entries. The last handover's end clears both maps."""
        async with self._lock:
            keys = self._keys.pop(service, PendingKeys(service))
            if self._states.entries:
                await self._pending.remove(*keys.entries(), names.journal_key(service))
            else:
                self._keys.clear()
                await self._pending.clear()
                await self._clear_epochs()

    def _entries(self, write: EndedWrite) -> set[str]:
        keys = PendingKeys(write.service)
        for key in held_reads(write.urls[0], write.client):
            keys.mark(key, on=True)
        return keys.entries()
