"""All instances of Nova, in pages: one question for a thousand guests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from nova_cachemig.agent.ports import InstanceAddresses, Instances

FEW: Final = 20
"""Instances for which Nova is asked one by one: a large cloud has many pages."""


class InstancePages:
    """Goes round through the pages; each search continues where the last one stopped."""

    def __init__(self, nova: Instances, clock: Callable[[], float]) -> None:
        self._nova = nova
        self._clock = clock
        self._after: str | None = None

    async def find(self, wanted: Collection[str], end: float) -> Mapping[str, InstanceAddresses]:
        """Return those of the ``wanted`` instances that pages show until ``end``.

        Ends early when all are found, and after one round. Raises NovaUnreachableError if no page
        came.
        """
        found: dict[str, InstanceAddresses] = {}
        begin, ends_seen = self._after, 0
        while self._clock() < end:
            page = await self.turn()
            found |= {uuid: page[uuid] for uuid in wanted if uuid in page}
            ends_seen += self._after is None
            if len(found) == len(wanted) or ends_seen > (begin is not None):
                break
        return found

    async def turn(self) -> Mapping[str, InstanceAddresses]:
        """Return the next page. Raises NovaUnreachableError."""
        page, self._after = await self._nova.page(self._after)
        return page
