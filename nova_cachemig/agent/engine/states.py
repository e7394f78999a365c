"""The states of the services in HAProxy's map: which entry each one has, and when it is renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import names, shares
from nova_cachemig.agent.engine.admin import AdminError
from nova_cachemig.agent.engine.ledger import Priority
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.totals import EdgeTotals
from nova_cachemig.conf.engine import max_object_bytes
from nova_cachemig.model.phase import EdgeState

LOG = log.getLogger(__name__)

_PRIORITIES: Final = {
    EdgeState.SHIELDED: Priority.FLIP,
    EdgeState.REPLAY: Priority.FLIP,
    EdgeState.DRAIN: Priority.RELEASE,
}

OPEN: Final = "open"
"""The mode that HAProxy itself sets for a service whose write it sent without the agent."""


class States:
    """The entries of the services that are not in ``pass``."""

    def __init__(self, conf: cfg.ConfigOpts, states: EdgeMap, totals: EdgeTotals) -> None:
        """``totals`` counts the services that HAProxy has opened."""
        self._conf = conf
        self._map = states
        self._totals = totals

    def services(self) -> list[str]:
        """Return the services that are not in ``pass``, also those of an earlier agent."""
        return [names.decode_service(encoded) for encoded in self._map.entries]

    def state(self, service: str) -> EdgeState:
        """Return the service's present state."""
        entry = self._map.entries.get(names.encode_service(service))
        mode = entry.partition(":")[0] if entry else OPEN
        return EdgeState.PASS if mode == OPEN else EdgeState(mode)

    def has(self, service: str) -> bool:
        """Whether the service has an entry."""
        return names.encode_service(service) in self._map.entries

    async def remove(self, service: str) -> None:
        """Let the service pass. Raises AdminError."""
        await self._map.remove(names.encode_service(service), priority=Priority.RELEASE)

    async def flip(self, service: str, state: EdgeState) -> None:
        """Give HAProxy the state. A new one, or one that HAProxy has opened, gets a generation.

        Raises AdminError.
        """
        encoded, states = names.encode_service(service), self._map
        try:
            # HAProxy may have opened the service: then no stored page can be trusted.
            found = await states.look(encoded) or ""
            if found.startswith(OPEN) and not states.entries.get(encoded, OPEN).startswith(OPEN):
                self._totals.opened += 1
        except AdminError:
            self._want(encoded, state, OPEN)  # for its restart
            raise
        await self._want(encoded, state, found)

    def _want(self, encoded: str, state: EdgeState, found: str) -> asyncio.Future[None]:
        """``found``: HAProxy's own entry."""
        present = self._map.entries.get(encoded, "")
        mode, _, generation = present.partition(":")
        entry = f"{state.value}:{generation}"
        if names.share_of(present) is None:
            entry = self._new_entry(state)
        elif OPEN in {mode, found.partition(":")[0]}:
            entry = names.renewed(present, state.value)
        least = Priority.RELEASE if mode == EdgeState.DRAIN else Priority.ARM
        priority = _PRIORITIES.get(state, least)
        return self._map.want({encoded: entry}, priority, encoded)

    def _new_entry(self, state: EdgeState) -> str:
        all_shares = shares.shares(self._conf.engine.cache_size)
        taken = (names.share_of(entry) for entry in self._map.entries.values())
        number = shares.choose((one for one in taken if one is not None), len(all_shares))
        largest = shares.largest_page(all_shares[number], max_object_bytes(self._conf))
        return names.state_entry(state.value, number, largest)

    # -- a reload ----------------------------------------------------------------------------

    def renew_generations(self) -> dict[str, str]:
        """The old worker's last changes are lost: let the new one find no stored page.

        Nor does the new one see the ends of the writes that the old one has sent to the guests. So
        it stores no page of an armed service until :meth:`arm_again`: return these, each with its
        entry.
        """
        if not self._map.entries:
            return {}
        LOG.warning("the edge is reloaded although services are in a handover: clearing the cache")
        armed, renewed = {}, {}
        for encoded, entry in self._map.entries.items():
            mode = entry.partition(":")[0]
            stores = mode == EdgeState.ARMED
            renewed[encoded] = names.renewed(entry, OPEN if stores else mode)
            if stores:
                armed[encoded] = renewed[encoded]
        self._map.start_with(renewed)
        return armed

    async def arm_again(self, armed: Mapping[str, str]) -> None:
        """Store pages again: the old worker has ended, and the new one sees all writes."""
        for encoded, entry in armed.items():
            if self._map.entries.get(encoded) != entry:
                continue  # a new state meanwhile
            try:
                again = names.renewed(entry, EdgeState.ARMED.value)
                await self._map.set(encoded, again, Priority.ARM)
            except AdminError as exc:
                LOG.warning("HAProxy takes the state of %s at its restart: %s", encoded, exc)
