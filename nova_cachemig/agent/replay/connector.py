"""Connects to a guest that may not be reachable yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from nova_cachemig.agent.replay.connection import GuestConnection

LOG = logging.getLogger(__name__)

# A paused guest loses SYNs, and TCP would retransmit them after 1, 3 and 7 s. Staggered attempts
# find the guest sooner. Several stay open, because a guest that has just returned may be slow.
_FIRST_ATTEMPT: Final = 0.1  # seconds until the next attempt starts
_LAST_ATTEMPT: Final = 1.0
_MAX_ATTEMPTS: Final = 4  # open at a time
REFUSED_PAUSE: Final = 0.02  # seconds before the next attempt if the last one failed


async def connect(attempt: Callable[[], Awaitable[GuestConnection]]) -> GuestConnection:
    """Make attempts until one succeeds. Cancel it if the guest is silent, or elsewhere."""
    pause = _FIRST_ATTEMPT
    attempts: list[asyncio.Future[GuestConnection]] = []
    try:
        while True:
            if len(attempts) == _MAX_ATTEMPTS:
                await _close([attempts.pop(0)])
            attempts.append(asyncio.ensure_future(attempt()))
            await asyncio.wait(attempts, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            ended = [one for one in attempts if one.done()]
            for one in ended:
                if (error := one.exception()) is None:
                    attempts.remove(one)
                    return one.result()
                LOG.debug("Cannot connect to the guest: %s", error)
            attempts = [one for one in attempts if one not in ended]
            if ended:
                await asyncio.sleep(REFUSED_PAUSE)
            else:
                pause = min(pause * 1.5, _LAST_ATTEMPT)
    finally:
        await _close(attempts)


async def _close(attempts: list[asyncio.Future[GuestConnection]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, GuestConnection):
            result.close()
