"""A service: which front address or host names stand before which instance and port."""

from __future__ import annotations

import dataclasses
import enum


class WriteMode(enum.StrEnum):
    """What a client of the service gets for a write that the guest cannot take yet."""

    HOLD = "hold"  # the client waits for the guest's own answer
    ACCEPT = "accept"  # 202 and a status URL once the write is on disk


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """One tenant's HTTP service behind the edge.

    ``listen`` is the front ``(address, port)`` of its own; ``hosts`` are the host names by which it
    is told from the others that share ``listen``. With no ``hosts`` it owns ``listen`` alone.
    """

    name: str
    instance: str  # UUID in Nova
    port: int  # on which the guest listens
    listen: tuple[str, int]
    hosts: tuple[str, ...] = ()
    network: str | None = None  # whose fixed address of the instance is meant; None: the first
    writes: WriteMode = WriteMode.HOLD
    honours_keys: bool = False  # the application honours Idempotency-Key
    client_cookie: str | None = None  # names the client; None: its address does
    follow_links: bool | None = None  # before a migration; None: as [warm] discover_links says


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where the guest of a service is reached."""

    address: str
    port: int


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A service and, once Nova has told it, where its guest is."""

    service: Service
    target: Target | None
