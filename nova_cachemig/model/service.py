"""A service: a front address with host names, and the instance and port that it belongs to."""

from __future__ import annotations

import dataclasses
import enum

from nova_cachemig.model.policy import NO_POLICY, Policy


class WriteMode(enum.StrEnum):
    """The response to a write that the guest cannot accept yet."""

    HOLD = "hold"  # the client waits for the guest's response
    ACCEPT = "accept"  # 202 and a status URL as soon as the write is on disk


class SendProxy(enum.StrEnum):
    """The version of the PROXY protocol that begins a connection to the guest."""

    V1 = "v1"  # text
    V2 = "v2"  # binary


@dataclasses.dataclass(frozen=True, slots=True)
class Tls:
    """TLS between the clients and the edge."""

    certificates: tuple[str, ...]  # paths of files or directories
    min_version: str = "1.2"
    http2: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one service on the cache node. 0: none. None: as configured."""

    connections: int | None = None  # of clients
    requests: int | None = None  # at the same time
    held: int | None = None  # requests that wait for the guest
    rate: int | None = None  # requests per second

    def over(self, defaults: Limits) -> Limits:
        """Return these limits. Where one is None, the default applies."""
        own = {name: value for name, value in self.by_name().items() if value is not None}
        return dataclasses.replace(defaults, **own)

    def by_name(self) -> dict[str, int | None]:
        """Return the limits by name. dataclasses.asdict() is slow for thousands of services."""
        return {name: getattr(self, name) for name in self.__slots__}


NO_LIMITS = Limits()


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """One tenant's HTTP service behind the edge.

    ``listen`` is the front ``(address, port)``. Services that share it differ by their host names,
    ``hosts``. A service without ``hosts`` uses ``listen`` exclusively.
    """

    name: str
    instance: str  # the UUID in Nova
    port: int  # the guest's port
    listen: tuple[str, int]
    hosts: tuple[str, ...] = ()
    network: str | None = None  # of the instance's address in Nova; None: the first network
    address: str | None = None  # the guest's address; None: Nova reports it
    floating: bool = False  # the guest's address is its floating address in Nova, not the fixed one
    writes: WriteMode = WriteMode.HOLD
    honours_keys: bool = False  # the application honours Idempotency-Key
    client_cookie: str | None = None  # identifies the client; None: its address does
    forwarded_for: bool | None = None  # send X-Forwarded-For; None: [engine] forwarded_for
    trusted_proxies: tuple[str, ...] | None = None  # networks; None: [engine] trusted_proxies
    accept_proxy: bool = False  # connections of trusted proxies begin with the PROXY protocol
    send_proxy: SendProxy | None = None  # connections to the guest do
    tls: Tls | None = None  # None: clients use plain HTTP
    follow_links: bool | None = None  # whether to warm linked pages; None: [warm] discover_links
    limits: Limits = NO_LIMITS  # 0: none; None: [engine] service_connections …
    policy: Policy = NO_POLICY  # what the cache may do with its pages


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The address and port of a service's guest."""

    address: str
    port: int


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A service and its guest's address; None while Nova has not confirmed it.

    ``mac``: of the port with this address; empty if it is not known.
    """

    service: Service
    target: Target | None
    mac: str = ""
