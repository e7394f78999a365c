"""Migrations of the guest, again and again, until the process is killed."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from tests.crashing.guest import Guest

Send = Callable[[tuple[Any, ...]], None]


async def migrate_alone(draw: random.Random, guest: Guest, send: Send) -> None:
    """Pause and resume the guest, at the same port or the other one."""
    port = draw.choice(guest.ports)
    guest.resume()
    send(("send", port))
    while True:
        await asyncio.sleep(draw.random() * 0.1)
        guest.pause()
        send(("hold",))
        await asyncio.sleep(draw.random() * 0.05)
        guest.resume()
        if draw.random() < 0.7:  # else a rollback: the guest stays at the source
            port = draw.choice(guest.ports)
        send(("send", port))
        send(("idle",))


async def migrate(
    draw: random.Random, guest: Guest, send: Send, receive: Callable[[], Awaitable[str]]
) -> None:
    """Let whole handovers pass, from the announcement to the release, with direct writes between.

    The migration in which the last process was killed ends first.
    """
    guest.resume()
    send(("complete",))
    while True:
        send(("idle",))
        await receive()
        await asyncio.sleep(draw.random() * 0.15)
        if draw.random() < 0.85:  # else the pause is the first that the agent hears
            send(("begin", f"req-{uuid.UUID(int=draw.getrandbits(128))}"))
            await asyncio.sleep(draw.random() * 0.2)
        for _ in range(draw.choice((1, 1, 2))):
            guest.pause()
            send(("pause",) if draw.random() < 0.8 else ("pause", "silent"))
            await asyncio.sleep(draw.random() * 0.2)
            guest.resume()
            send(("resume", draw.choice(("resumed", "resumed", "switchover_failed"))))
            await asyncio.sleep(draw.random() * 0.1)
        send(("complete",))
