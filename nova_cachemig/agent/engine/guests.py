"""The connections to guests: one question for all services that ask at the same time.

For each question the kernel and HAProxy walk through all their connections. If each service asked,
the work for N services would grow with N².
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.agent.engine.descriptors import Descriptors
from nova_cachemig.agent.engine.shared import Shared
from nova_cachemig.model.service import Target

_REST: Final = 0.02
"""Seconds between two questions to the kernel."""


class GuestConnections:
    """The connections to guests, as the kernel and HAProxy list them."""

    def __init__(self, descriptors: Callable[[], Awaitable[Descriptors]]) -> None:
        """``descriptors`` asks HAProxy."""
        self._listings = {
            family: Shared(functools.partial(self._list, family), _REST)
            for family in (socket.AF_INET, socket.AF_INET6)
        }
        self._descriptors = Shared(descriptors)

    async def to(self, target: Target) -> list[sockdiag.Connection]:
        """Return this host's established connections to a guest. Raises ComponentError."""
        version = ipaddress.ip_address(target.address).version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        return (await self._listings[family].get()).to(target.address, target.port)

    async def descriptors(self) -> Descriptors:
        """Return HAProxy's descriptors. Raises AdminError."""
        return await self._descriptors.get()

    @staticmethod
    async def _list(family: socket.AddressFamily) -> sockdiag.Listing:
        return await asyncio.to_thread(sockdiag.listing, family)
