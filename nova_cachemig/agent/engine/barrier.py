"""The maps by which a write affects reads: stale pages get a new epoch, other reads wait.

Each stored page is found by the generation of its handover and the epoch of the page. A write gives
the pages that it made stale new epochs, so that Varnish no longer finds what it had stored. While
the journal holds a write, the reads of its keys wait (the map ``pending``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from oslo_log import log

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.model.effects import EndedWrite, held_reads

LOG = log.getLogger(__name__)

MAX_EPOCHS = 5000
"""Pages with an epoch. HAProxy finds the entry to edit by a linear search of the map."""


class BarrierMaps:
    """The maps ``epochs`` and ``pending`` of all services in a handover."""

    def __init__(self, states: EdgeMap, pending: EdgeMap, epochs: EdgeMap) -> None:
        self._states = states
        self._pending = pending
        self._epochs = epochs
        self._lock = asyncio.Lock()
        self._keys: dict[str, set[str]] = {}  # service -> its entries in the map of pending keys

    async def update(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Apply any number of changes in few exchanges: see :class:`ports.Engine`."""
        await self._renew_epochs(service, stale)
        hashed = {names.pending_key(service, key): on for key, on in pending.items()}
        async with self._lock:
            keys = self._keys.setdefault(service, set())
            keys.update(key for key, on in hashed.items() if on)
            keys.difference_update(key for key, on in hashed.items() if not on)
            if not keys:
                del self._keys[service]
            # While this key is set, the edge lets no write overtake the journal.
            edits = {names.journal_key(service): "1" if keys else None}
            edits |= {key: "1" if on else None for key, on in hashed.items()}
            await self._pending.update(edits)

    async def replace(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Make ``pending`` the only held reads: see :class:`ports.BarrierEngine`."""
        for write in ended:
            await self._renew_epochs(write.service, {write.host: write.urls})
        async with self._lock:
            self._keys = {
                service: {names.pending_key(service, key) for key in keys}
                for service, keys in pending.items()
                if keys
            }
            wanted = {key for keys in self._keys.values() for key in keys}
            wanted |= {names.journal_key(service) for service in self._keys}
            explained = {names.pending_key(w.service, key) for w in ended for key in _keys(w)}
            explained |= {names.journal_key(write.service) for write in ended}
            if not self._pending.entries.keys() <= wanted | explained:
                # The earlier agent died between two steps of a write, and its pages are not known.
                LOG.info("the edge held reads of unknown writes: clearing the cache")
                await self._renew_generations()
            await self._pending.replace(dict.fromkeys(wanted, "1"))

    async def _renew_epochs(self, service: str, stale: Mapping[str, Sequence[str]]) -> None:
        pages = {
            names.page_key(service, host, url): names.new_token()
            for host, urls in stale.items()
            for url in urls
        }
        if len(self._epochs.entries) + len(pages) > MAX_EPOCHS:
            LOG.warning("more than %d pages were written to: clearing the cache", MAX_EPOCHS)
            await self._renew_generations()
        elif pages:
            await self._epochs.upsert(pages)

    async def _renew_generations(self) -> None:
        """Invalidate all stored pages of all services, which makes the epochs superfluous."""
        for encoded, entry in list(self._states.entries.items()):
            mode = entry.partition(":")[0]
            await self._states.set(encoded, f"{mode}:{names.new_token()}")
        await self._epochs.clear()

    async def end(self, service: str) -> None:
        """Remove the service's entries. The last handover's end clears both maps."""
        async with self._lock:
            keys = self._keys.pop(service, set())
            if self._states.entries:
                await self._pending.remove(*keys, names.journal_key(service))
            else:
                self._keys.clear()
                await self._pending.clear()
                await self._epochs.clear()


def _keys(write: EndedWrite) -> tuple[str, ...]:
    return held_reads(write.urls[0], write.client)
