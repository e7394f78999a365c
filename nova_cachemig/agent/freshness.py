"""What a write does to stored pages: the engine forgets them, the warmer fetches them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nova_cachemig.agent.ports import Engine
from nova_cachemig.agent.warm.warmer import CacheWarmer

_URL = "url:"


class Freshness:
    """Stands between the journal and the engine.

    A page is fetched again when no write to it is pending any more: earlier it would be the old
    one.
    """

    def __init__(self, engine: Engine, warmer: CacheWarmer) -> None:
        self._engine = engine
        self._warmer = warmer

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """As the engine's; and renew the pages to which no write is pending any more."""
        await self._engine.update_barrier(service, stale, pending)
        for key, on in pending.items():
            if not on and key.startswith(_URL):
                self._warmer.invalidated(service, key.removeprefix(_URL))
