"""What a write does to stored pages: the engine forgets them, the warmer fetches them again."""

from __future__ import annotations

from nova_cachemig.agent.seams import Engine
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

    async def invalidate(self, service: str, host: str, urls: list[str]) -> None:
        """Make the stored answers to these URLs unusable before this returns."""
        await self._engine.invalidate(service, host, urls)

    async def pending(self, service: str, key: str, on: bool) -> None:
        """Hold (on) or no longer hold (off) reads of a key."""
        await self._engine.pending(service, key, on)
        if not on and key.startswith(_URL):
            self._warmer.invalidated(service, key.removeprefix(_URL))
