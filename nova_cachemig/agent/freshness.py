"""Keeps the cache fresh after a write: the engine drops the page, the warmer fetches it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nova_cachemig.agent.ports import BarrierEngine, PageRefresher
from nova_cachemig.model.effects import EndedWrite

_URL = "url:"


class Freshness:
    """The write path's port to the engine, which also informs the warmer.

    A page is fetched again once no write to it is pending. Fetched earlier, it would be the old
    page.
    """

    def __init__(self, engine: BarrierEngine, warmer: PageRefresher) -> None:
        self._engine = engine
        self._warmer = warmer

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Update the engine's barrier, then refresh the pages to which no write is pending."""
        await self._engine.update_barrier(service, stale, pending)
        for key, on in pending.items():
            if not on and key.startswith(_URL):
                self._warmer.invalidated(service, key.removeprefix(_URL))

    async def replace_barrier(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Replace the engine's barrier; the warmer has learnt nothing yet that could be old."""
        await self._engine.replace_barrier(pending, ended)
