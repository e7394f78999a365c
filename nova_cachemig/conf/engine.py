"""Options of the engine: HAProxy at the edge, and Varnish while a guest migrates."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg, types

from nova_cachemig.conf.networks import Network
from nova_cachemig.conf.sizes import Size
from nova_cachemig.model.service import Limits

GROUP = cfg.OptGroup("engine", title="HAProxy and Varnish on the cache node")

_PROGRAMS = [
    cfg.StrOpt(
        "haproxy",
        default="haproxy",
        help="HAProxy's program: version 2.6 or newer, built with Lua. A name without a slash is "
        "looked up in PATH.",
    ),
    cfg.ListOpt(
        "haproxy_args",
        default=[],
        help="Additional arguments for HAProxy. They come before the agent's own.",
    ),
    cfg.StrOpt(
        "varnishd",
        default="varnishd",
        help="Varnish's program: version 7.1 or newer. It needs a C compiler. A name without a "
        "slash is looked up in PATH.",
    ),
    cfg.ListOpt(
        "varnishd_args",
        default=["-j", "none"],
        help="Additional arguments for varnishd. They come before the agent's own. With the "
        "default, Varnish runs as the agent's user and changes to no other: run the agent as a "
        "dedicated account.",
    ),
    cfg.StrOpt(
        "runtime_dir",
        default="/run/nova-cachemig",
        regex=r"^/[A-Za-z0-9/_.+-]{1,70}$",
        help="Directory of the engines' configuration, maps and unix sockets. Only the agent's "
        "user may enter it. It must be on a local file system, preferably in memory.",
    ),
    cfg.IntOpt(
        "admin_timeout",
        default=2,
        min=1,
        max=60,
        help="Seconds to wait for a response from HAProxy's admin socket.",
    ),
    cfg.IntOpt(
        "start_timeout",
        default=20,
        min=1,
        max=300,
        help="Seconds within which HAProxy and Varnish must start, reload or check a "
        "configuration.",
    ),
]

_CAPACITY = [
    cfg.StrOpt(
        "cache_size",
        default="256m",
        regex=r"^[1-9][0-9]*[kmg]$",
        help="Memory of the cache: a number with k, m or g (KiB, MiB, GiB). It must hold the "
        "popular pages of all services that are in a handover at the same time. A quarter is for "
        "responses that are only passed on. The rest is divided into shares: 15 of 6 to 48 MiB "
        "with the default. Services displace pages of others only if more are in a handover than "
        "there are shares.",
    ),
    cfg.Opt(
        "max_object_size",
        type=Size(minimum=1 << 20, maximum=4 << 30),
        default="16m",
        help="Size of the largest response that is stored, in bytes, or with k, m or g. Larger "
        "responses always come from the guest. Related: [warm] max_object_size; cache_size: a "
        "response is at most a quarter of its service's share.",
    ),
    cfg.IntOpt(
        "max_object",
        min=1,
        max=4096,
        deprecated_for_removal=True,
        deprecated_reason="It is in MiB, while [warm] max_object was in bytes. Use "
        "max_object_size.",
        help="The former max_object_size, in MiB. If set, it replaces max_object_size.",
    ),
    cfg.IntOpt(
        "threads",
        default=1,
        min=1,
        max=64,
        help="Threads of HAProxy. One thread forwards tens of thousands of requests per second.",
    ),
    cfg.IntOpt(
        "max_clients",
        default=0,
        min=0,
        max=1000000,
        help="Limit of simultaneous client connections. 0: as many as the limit of open files "
        "allows, at most 10000. A client of a service in a handover needs six open files. Further "
        "clients get 503 with Retry-After.",
    ),
    cfg.IntOpt(
        "sample_from",
        default=100,
        min=0,
        max=1000000,
        help="Requests per second of a service from which on the edge logs only one in twenty of "
        "its reads without a handover. The others take a shorter path, with two thirds of the CPU "
        "time. The log shows the agent which pages are popular.",
    ),
    cfg.IntOpt(
        "access_rate",
        default=2000,
        min=1,
        max=1000000,
        help="Records per second that the agent reads from the access log to learn which pages "
        "are popular. It skips further records, but counts every request of a service in a "
        "handover.",
    ),
    cfg.BoolOpt(
        "forwarded_for",
        default=True,
        help="Whether the edge appends the client's address to the X-Forwarded-For of a request. "
        "The field forwarded_for of a service overrides it.",
    ),
    cfg.Opt(
        "trusted_proxies",
        type=types.List(item_type=Network()),
        default=[],
        help="Networks of proxies in front of the cache node, such as TLS terminators, as "
        "ADDRESS/LENGTH with commas. From these, the client's address is taken out of "
        "X-Forwarded-For or Forwarded: the rightmost address that is not in these networks. From "
        "other addresses these headers only pass to the guest. The field trusted_proxies of a "
        "service replaces the list.",
    ),
]

_LIMITS = [
    cfg.IntOpt(
        "service_connections",
        default=0,
        min=0,
        max=1000000,
        help="Limit of simultaneous client connections of one service. Further ones get 503 with "
        "Retry-After. Services that share a front address have the sum of their limits there. 0: "
        "only the share of max_clients, if the node is full. The field limits of a service "
        "overrides this option and the next three.",
    ),
    cfg.IntOpt(
        "service_requests",
        default=0,
        min=0,
        max=1000000,
        help="Limit of simultaneous requests of one service, held ones included. With HTTP/2, a "
        "connection can have many. Further ones get 503 with Retry-After. 0: as many as "
        "max_clients.",
    ),
    cfg.IntOpt(
        "service_held",
        default=0,
        min=0,
        max=1000000,
        help="Limit of requests of one service that are held at the same time. Further ones get "
        "503 with Retry-After. 0: no separate limit.",
    ),
    cfg.IntOpt(
        "service_rate",
        default=0,
        min=0,
        max=1000000,
        help="Limit of requests per second of one service. Further ones get 429 with Retry-After, "
        "a quarter of a second later. 0: no limit.",
    ),
]

_HANDOVER = [
    cfg.IntOpt(
        "hold_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which a request is held while the guest is silent. After that the "
        "client gets 503 with Retry-After. For at most half of this time, new writes are held "
        "while the journal is emptied for a release. Related: retry_after; [journal] hold_timeout "
        "for writes.",
    ),
    cfg.IntOpt(
        "retry_after",
        default=5,
        min=1,
        max=3600,
        help="Seconds in the Retry-After header of this 503 response.",
    ),
    cfg.IntOpt(
        "stale_max",
        default=600,
        min=1,
        max=86400,
        help="Seconds beyond its freshness for which a stored response may be used during a "
        "handover, if RFC 9111, section 4.2.4, allows stale responses for it.",
    ),
    cfg.IntOpt(
        "fetches_on_return",
        default=8,
        min=1,
        max=10000,
        help="Limit of simultaneous reads to a guest that has just become reachable. Further reads "
        "wait for their turn, at most half a second. Increase it for a guest that handles many "
        "requests in parallel.",
    ),
]

_TIMEOUTS = [
    cfg.IntOpt(
        "connect_timeout",
        default=300,
        min=20,
        max=10000,
        help="Milliseconds after which HAProxy gives up a connection attempt to a guest and starts "
        "a new one. The kernel alone repeats an attempt only after 1, 3 and 7 seconds, which is "
        "too late for a guest that was paused.",
    ),
    cfg.IntOpt(
        "fetch_connect_timeout",
        default=100,
        min=20,
        max=10000,
        help="Like connect_timeout, in milliseconds, but for reads of a service in a handover. A "
        "read that waits for the guest's return is late by at most this much.",
    ),
    cfg.IntOpt(
        "connect_patience",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which HAProxy repeats connection attempts to a guest before the client "
        "gets 503. While the agent is down, only this carries new connections through a blackout.",
    ),
    cfg.IntOpt(
        "guest_timeout",
        default=3600,
        min=1,
        max=86400,
        help="Seconds without a byte from the guest after which a request that it received fails "
        "with 504. Make it longer than the guest's own timeouts.",
    ),
    cfg.IntOpt(
        "client_timeout",
        default=3600,
        min=1,
        max=86400,
        help="Seconds for which a client may stall while it sends a body or receives a response.",
    ),
    cfg.IntOpt(
        "request_timeout",
        default=10,
        min=1,
        max=600,
        help="Seconds within which a client must send a request's headers.",
    ),
    cfg.IntOpt(
        "keepalive_timeout",
        default=60,
        min=1,
        max=3600,
        help="Seconds for which a client's idle connection stays open.",
    ),
]

OPTS = _PROGRAMS + _CAPACITY + _LIMITS + _HANDOVER + _TIMEOUTS


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # A separate group object: oslo.config copies an OptGroup shallowly and would share overrides.
    conf.register_group(cfg.OptGroup(GROUP.name, title=GROUP.title))
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]


def max_object_bytes(conf: cfg.ConfigOpts) -> int:
    """Return the size of the largest response that is stored, also from the deprecated option."""
    mebibytes: int | None = conf.engine.max_object
    size: int = conf.engine.max_object_size
    return size if mebibytes is None else mebibytes << 20


def limits_of(conf: cfg.ConfigOpts) -> Limits:
    """Return the limits of services that have none themselves."""
    opts = conf.engine
    return Limits(
        opts.service_connections, opts.service_requests, opts.service_held, opts.service_rate
    )
